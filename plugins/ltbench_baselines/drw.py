"""Deferred re-weighting (Cao et al., 2019, algorithm 1)."""

from __future__ import annotations

from torch import Tensor

import ltbench
from ltbench_baselines import cao_2019
from ltbench_baselines.cb import ClassBalancedWeights, TunedBeta


class DeferredReweighting(ClassBalancedWeights):
    """Train unweighted first, then with class-balanced weights: the features are learned before the tail is made to count.

    Args:
        beta: Of the class-balanced weights.
        start: Fraction of the training after which the weights apply.
    """

    name = "drw"

    def __init__(self, facts: ltbench.Facts, *, beta: TunedBeta = 0.9999, start: ltbench.Fraction = 0.8) -> None:
        super().__init__(facts, beta=beta)
        self.start = start

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the paper's setting on CIFAR."""
        return cao_2019.setting(task)

    def class_weights(self, ctx: ltbench.Context) -> Tensor | None:
        """Return the weights, shape (C,), once it is time; None before."""
        return self.weights if ctx.progress >= self.start else None
