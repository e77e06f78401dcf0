"""Learnable weight scaling, LWS (Kang et al., 2020, section 4)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

import ltbench


class ScaledClassifier(nn.Module):
    """Multiply the logits of a frozen classifier, class by class.

    Args:
        linear: Frozen.

    Attributes:
        scales: Shape (C,), ones at the start.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        self.scales = nn.Parameter(torch.ones_like(linear.weight[:, 0]))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, shape (B, C)."""
        logits: Tensor = self.linear(features)
        return self.scales * logits


class LearnableWeightScaling(ltbench.ReusedClassifier):
    """Learn one scale a class on class-balanced samples; the directions of the earlier classifier stay."""

    name = "lws"
    leaves = "ScaledClassifier"

    def reuse(self, linear: nn.Linear) -> nn.Module:
        """Return the scaled classifier."""
        return ScaledClassifier(linear)

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the class-balanced stream."""
        return {"main": ltbench.ClassBalanced()}
