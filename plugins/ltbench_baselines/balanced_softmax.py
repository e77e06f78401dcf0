"""Balanced softmax (Ren et al., 2020, theorem 1)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

import ltbench


class BalancedSoftmax(ltbench.Method):
    """Train a softmax in which each class's term is multiplied by its number of images; predict without.

    The factors differ from the class prior by a constant that a softmax cancels, so this is logit adjustment at tau = 1; the
    paper's meta-sampler is not part of it.
    """

    name = "balanced_softmax"
    stages = frozenset({1, 2})
    log_counts: Tensor

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.register_buffer("log_counts", facts.class_counts.double().clamp_min(1).log().float())  # (C,)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return -log(n_y e^z_y / sum_k n_k e^z_k), shape (B,)."""
        return F.cross_entropy(logits + self.log_counts, labels, reduction="none")
