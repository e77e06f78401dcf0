"""Focal loss (Lin et al., 2017, eq. 4), in the softmax form that long-tailed recognition uses."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench


class Focal(ltbench.Method):
    """Weigh the cross-entropy of a sample by (1 - p)^gamma, p the probability of its class.

    Samples that are classified well, which the large classes have most of, then count for little.

    Args:
        gamma: Focus; 0 is plain cross-entropy.
    """

    name = "focal"
    stages = frozenset({1, 2})

    def __init__(self, facts: ltbench.Facts, *, gamma: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 5.0)] = 2.0) -> None:
        super().__init__(facts)
        self.gamma = gamma

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (1 - p)^gamma times the cross-entropy, shape (B,)."""
        cross_entropy = F.cross_entropy(logits, labels, reduction="none")  # -log p
        # 1 - p without cancellation. Below gamma 1 the power has an infinite slope at p = 1, which would make the gradient NaN.
        wrong = (-torch.expm1(-cross_entropy)).clamp_min(torch.finfo(cross_entropy.dtype).tiny)
        return wrong**self.gamma * cross_entropy
