"""Squared error on one-hot labels (Hui & Belkin, 2021; with the factor 1/2 of Liu et al., 2023, eq. 7)."""

from __future__ import annotations

from torch import Tensor

import ltbench


class SquaredError(ltbench.Method):
    """Draw the own logit to a target and all others to 0.

    The predicted class is as good as under cross-entropy; the softmax of such logits is nearly uniform and no probability.

    Args:
        target: What the own logit should be, M; 1 is the one-hot label.
        own_weight: Of the own logit's error, k; many classes need more than 1, or the zeros outweigh it.
    """

    name = "mse"
    stages = frozenset({1, 2})

    def __init__(self, facts: ltbench.Facts, *, target: ltbench.Positive = 1.0, own_weight: ltbench.Positive = 1.0) -> None:
        super().__init__(facts)
        self.target = target
        self.own_weight = own_weight

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (k (z_y - M)^2 + sum over the others of z_j^2) / 2, shape (B,)."""
        logits = logits.float() if logits.dtype.itemsize < 4 else logits  # a sum over classes in half precision loses digits
        own = logits.gather(1, labels[:, None]).squeeze(1)  # (B,)
        others = logits.square().sum(dim=1) - own.square()
        return 0.5 * (self.own_weight * (own - self.target).square() + others)
