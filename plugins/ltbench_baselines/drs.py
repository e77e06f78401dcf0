"""Deferred re-sampling (Cao et al., 2019: algorithm 1 with re-sampling in place of re-weighting)."""

from __future__ import annotations

from collections.abc import Mapping

import ltbench
from ltbench_baselines import cao_2019


class DeferredResampling(ltbench.Method):
    """Draw instance-balanced first, then class-balanced.

    Args:
        start: Fraction of the training after which classes are balanced.
    """

    name = "drs"
    stages = frozenset({1, 2})

    def __init__(self, facts: ltbench.Facts, *, start: ltbench.Fraction = 0.8) -> None:
        super().__init__(facts)
        self.start = start

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the paper's setting on CIFAR."""
        return cao_2019.setting(task)

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the class-balanced stream once it is time, the default before."""
        return {"main": ltbench.ClassBalanced()} if ctx.progress >= self.start else ctx.default_streams()
