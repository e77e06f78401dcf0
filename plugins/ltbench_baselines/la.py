"""Logit-adjusted cross-entropy (Menon et al., 2021, eq. 10)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

import ltbench


class LogitAdjustment(ltbench.Method):
    """Train on logits shifted by the log class prior; predict on the plain ones.

    Args:
        tau: Strength of the shift; 0 is plain cross-entropy.
    """

    name = "la"
    stages = frozenset({1, 2})
    search = {"tau": ltbench.Uniform(0.0, 3.0)}
    shift: Tensor

    def __init__(self, facts: ltbench.Facts, *, tau: float = 1.0) -> None:
        super().__init__(facts)
        if not tau >= 0:
            raise ValueError(f"tau must be >= 0, got {tau}")
        counts = facts.class_counts.double().clamp_min(1)  # a class without images must not get an infinite shift
        self.register_buffer("shift", (tau * (counts / counts.sum()).log()).float())  # (C,)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy of the shifted logits, shape (B,)."""
        return F.cross_entropy(logits + self.shift, labels, reduction="none")
