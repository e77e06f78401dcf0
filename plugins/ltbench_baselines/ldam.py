"""Label-distribution-aware margin loss (Cao et al., 2019, section 3.2)."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_baselines import cao_2019


class LDAM(ltbench.Method):
    """Ask for a margin on the own class's cosine, larger for smaller classes; predict without it.

    Args:
        max_margin: Of the smallest class, in cosine.
        scale: By which cosines become logits.
    """

    name = "ldam"
    stages = frozenset({1, 2})
    leaves = "cosine"
    shift: Tensor

    def __init__(self, facts: ltbench.Facts, *, max_margin: Annotated[ltbench.NonNegative, ltbench.Uniform(0.1, 1.0)] = 0.5,
                 scale: ltbench.Positive = 30.0) -> None:
        super().__init__(facts)
        self.scale = scale
        margins = facts.class_counts.double().clamp_min(1) ** -0.25  # margins proportional to n_k^(-1/4)
        margins = margins * (max_margin / margins.max())
        self.register_buffer("shift", (scale * margins).float())  # (C,), in logits

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the paper's setting on CIFAR."""
        return cao_2019.setting(task)

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return the cosine classifier; its logits include the scale, so that their softmax is the model's probability."""
        return ltbench.CosineClassifier(feature_dim, num_classes, self.scale)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy with the own logit lowered by the margin, shape (B,)."""
        own = labels[:, None]
        logits = logits.to(torch.promote_types(logits.dtype, self.shift.dtype))  # near 30, bfloat16 steps by 0.125
        lowered = logits.gather(1, own) - self.shift[own].to(logits.dtype)
        return F.cross_entropy(torch.scatter(logits, 1, own, lowered), labels, reduction="none")
