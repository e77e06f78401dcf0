"""Tau-normalization of the classifier (Kang et al., 2020, section 4)."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import nn

import ltbench


class TauNormalization(ltbench.ReusedClassifier):
    """Divide each class's weight vector by its norm to the power tau, and drop the bias; nothing is trained.

    Args:
        tau: 0 keeps the norms, 1 makes them equal.
    """

    name = "tau_norm"
    leaves = "linear"
    trains = False

    def __init__(self, facts: ltbench.Facts, *, tau: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 1.0)] = 1.0) -> None:
        super().__init__(facts)
        self.tau = tau

    def reuse(self, linear: nn.Linear) -> nn.Module:
        """Return the normalized classifier, frozen."""
        weight = linear.weight.detach()
        norms = weight.norm(dim=1, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)  # (C, 1)
        normalized = nn.Linear(linear.in_features, linear.out_features, bias=False, device=weight.device, dtype=weight.dtype)
        normalized.weight = nn.Parameter(weight / norms**self.tau, requires_grad=False)
        return normalized
