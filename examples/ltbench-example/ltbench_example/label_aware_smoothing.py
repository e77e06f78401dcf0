"""Label-aware smoothing (Zhong et al., "Improving calibration for long-tailed recognition", 2021, section 3.2).

The paper uses it in a second stage, on a first one that was trained with mixed images: ``mixup/label_aware_smoothing``. The
defaults are its authors' for CIFAR-100 at imbalance ratio 100.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

import ltbench


class LabelAwareSmoothing(ltbench.Method):
    """Smooth the labels of larger classes more, because a network is the most overconfident about them.

    Args:
        smooth_head: Probability that the largest class gives away to the others.
        smooth_tail: Probability that the smallest class gives away.
    """

    name = "label_aware_smoothing"
    stages = frozenset({1, 2})

    smoothing: Tensor

    def __init__(self, facts: ltbench.Facts, *, smooth_head: float = 0.4, smooth_tail: float = 0.1) -> None:
        super().__init__(facts)
        if not 0 <= smooth_tail <= smooth_head < 1:
            raise ValueError(f"smooth_tail and smooth_head must be in 0 <= tail <= head < 1, got {smooth_tail} and {smooth_head}")
        counts = facts.class_counts.double()
        # The concave form: f(n) = tail + (head - tail) sin(pi (n - n_min) / (2 (n_max - n_min))). Equal classes are all head.
        span = counts.max() - counts.min()
        position = (counts - counts.min()) / span if span > 0 else torch.ones_like(counts)
        smoothing = smooth_tail + (smooth_head - smooth_tail) * torch.sin(position * (math.pi / 2))
        self.register_buffer("smoothing", smoothing.float())  # (C,)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy against q: 1 - f(n_y) on the label, f(n_y) / (C - 1) on each other class, shape (B,)."""
        log_probs = logits.log_softmax(dim=1)  # (B, C)
        given_away = self.smoothing[labels]  # (B,)
        own = log_probs.gather(1, labels[:, None]).squeeze(1)  # (B,)
        others = (log_probs.sum(dim=1) - own) / (log_probs.shape[1] - 1)
        return -(1 - given_away) * own - given_away * others
