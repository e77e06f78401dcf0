"""Class-balanced loss weights by the effective number of samples (Cui et al., 2019, proposition 1 and section 4)."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor

import ltbench

Beta = Annotated[float, ltbench.Interval(ge=0, lt=1)]
TunedBeta = Annotated[Beta, ltbench.Choice(0.9, 0.99, 0.999, 0.9999)]


def effective_number_weights(class_counts: Tensor, beta: float) -> Tensor:
    """Return (1 - beta) / (1 - beta^n_k), scaled to sum C, shape (C,).

    Args:
        class_counts: Training images of each class, shape (C,); a class without any counts as one with one.
        beta: From 0 (all classes alike) to below 1 (towards inverse frequency).
    """
    counts = class_counts.double().clamp_min(1)
    # 1 - beta^n by expm1: in float32 it loses all but three digits at beta = .9999 and n = 1.
    effective = -torch.expm1(counts * math.log(beta)) if beta > 0 else torch.ones_like(counts)
    weights = 1 / effective  # the common factor 1 - beta cancels in the scaling
    return (weights * len(weights) / weights.sum()).float()


class ClassBalancedWeights(ltbench.Method):
    """Weigh the loss of class k by the inverse of its effective number of samples.

    Args:
        beta: How fast further samples of a class stop being new: 0 weighs nothing, towards 1 it is inverse frequency.
    """

    name = "cb"
    stages = frozenset({1, 2})
    weights: Tensor

    def __init__(self, facts: ltbench.Facts, *, beta: TunedBeta = 0.9999) -> None:
        super().__init__(facts)
        self.register_buffer("weights", effective_number_weights(facts.class_counts, beta))  # (C,)

    def class_weights(self, ctx: ltbench.Context) -> Tensor | None:
        """Return the weights, shape (C,)."""
        return self.weights
