"""Variances of classes about their centroids (Learned NCM paper, eq. 1)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

import ltbench

_ROWS = 4096


def class_variance(features: Tensor, labels: Tensor, centroids: Tensor,
                   projection: Callable[[Tensor], Tensor] = lambda rows: rows) -> Tensor:
    """Return V: the mean squared distance of a class's features to its centroid, shape (C,); 0 for an absent class.

    About the class means this is the trace of the covariance, divided by n.

    Args:
        features: Shape (N, D).
        labels: Shape (N,).
        centroids: Shape (C, d).
        projection: What features go through first, (n, D) -> (n, d).
    """
    sums = torch.zeros(len(centroids), dtype=torch.float64, device=labels.device)
    # In parts, for there is no room for a second copy of all features.
    for rows, where in ltbench.row_blocks(features, labels, _ROWS):
        sums.index_add_(0, where, (projection(rows) - centroids[where]).double().square().sum(dim=1))
    return (sums / torch.bincount(labels, minlength=len(centroids)).clamp_min(1)).to(features.dtype)
