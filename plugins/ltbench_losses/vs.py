"""Vector-scaling loss (Kini et al., 2021)."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench
from ltbench_losses import setting


def relative_size(facts: ltbench.Facts, gamma: float) -> Tensor:
    """Return (n_k / n_max)^gamma, by which a logit is multiplied: 1 for the largest class, less for others, shape (C,).

    Args:
        facts: Of the task; a class without images counts as one with one.
        gamma: 0 leaves all logits alone.
    """
    logs = facts.log_counts
    return (gamma * (logs - logs.max())).exp().float()


class VectorScaling(ltbench.Method):
    """Train on logits that are multiplied and shifted class by class; predict on the plain ones.

    The factors decide which margins a network ends with once it fits the training images; the shifts, which then no longer count,
    keep the factors from harming small classes at the beginning.

    Args:
        gamma: Of the factors (n_k / n_max)^gamma; 0 is logit adjustment.
        tau: Of the shifts tau log prior; 0 leaves class-dependent temperatures.
    """

    name = "vs"
    stages = frozenset({1, 2})
    factor: Tensor
    shift: Tensor

    def __init__(self, facts: ltbench.Facts, *, gamma: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 0.5)] = 0.3,
                 tau: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 3.0)] = 1.0) -> None:
        super().__init__(facts)
        self.register_buffer("factor", relative_size(facts, gamma))  # Delta_k, (C,)
        self.register_buffer("shift", (tau * facts.log_prior).float())  # iota_k, (C,)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the terms of the public code on CIFAR."""
        return setting.on_cifar(task)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy of Delta_k z_k + iota_k, shape (B,)."""
        logits = logits.to(torch.promote_types(logits.dtype, self.factor.dtype))
        return F.cross_entropy(logits * self.factor + self.shift, labels, reduction="none")
