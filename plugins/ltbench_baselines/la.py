"""Logit-adjusted cross-entropy (Menon et al., 2021, eq. 10)."""

from __future__ import annotations

from typing import Annotated

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
    shift: Tensor

    def __init__(self, facts: ltbench.Facts, *, tau: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 3.0)] = 1.0) -> None:
        super().__init__(facts)
        self.register_buffer("shift", (tau * facts.log_prior).float())  # (C,)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy of the shifted logits, shape (B,)."""
        return F.cross_entropy(logits + self.shift, labels, reduction="none")
