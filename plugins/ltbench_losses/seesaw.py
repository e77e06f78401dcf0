"""Seesaw loss (Wang et al., 2021), for classification."""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench

_LEAST = 1e-2  # probability of the own class that others are compared with, as in the public code


class Seesaw(ltbench.Method):
    """Let larger classes' images discourage smaller classes less, unless these are what they are taken for.

    Args:
        p: Exponent of the mitigation factor min(1, n_j / n_i)^p; 0 switches it off.
        q: Exponent of the compensation factor max(1, p_j / p_i)^q; 0 switches it off.
    """

    name = "seesaw"
    stages = frozenset({1, 2})
    log_counts: Tensor

    def __init__(self, facts: ltbench.Facts, *, p: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 2.0)] = 0.8,
                 q: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 4.0)] = 2.0) -> None:
        super().__init__(facts)
        self.p = p
        self.q = q
        self.register_buffer("log_counts", facts.log_counts.float())  # (C,)

    def log_balance(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return log S_ij for the label i of every row and every class j, shape (B, C); without gradient.

        Args:
            logits: At least float32, shape (B, C).
            labels: Shape (B,).
        """
        own = labels[:, None]
        mitigation = (self.log_counts - self.log_counts[own]).clamp_max(0)  # log M / p, (B, C)
        scores = logits.detach().log_softmax(dim=1)
        compensation = (scores - scores.gather(1, own).clamp_min(math.log(_LEAST))).clamp_min(0)  # log C / q
        return self.p * mitigation + self.q * compensation

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return -log of e^z_i / (e^z_i + sum over the others of S_ij e^z_j), shape (B,)."""
        logits = logits.to(torch.promote_types(logits.dtype, self.log_counts.dtype))
        # S_ii is 1 by both factors, but for an own probability below _LEAST.
        balance = self.log_balance(logits, labels).scatter(1, labels[:, None], 0.0)
        return F.cross_entropy(logits + balance, labels, reduction="none")
