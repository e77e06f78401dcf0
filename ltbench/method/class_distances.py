"""Class-distance normalized variance (Galanti et al., 2021; section 6 of the Learned NCM paper)."""

from __future__ import annotations

import torch
from torch import Tensor


def class_distance_normalized_variance(centroids: Tensor, variance: Tensor, block: int = 256) -> float:
    """Average (V_i + V_j) / (2 |c_i - c_j|^2) over all pairs of classes; infinite where two centroids coincide.

    Learned centroids may stand in the place of the means; the variances stay those about the means.

    Args:
        centroids: Shape (C, D).
        variance: V, the trace of each class's covariance about its mean, shape (C,).
        block: Rows of the (C, C) matrix that are in memory at once.

    Raises:
        ValueError: If there are fewer than two classes.
    """
    classes = len(centroids)
    if classes < 2:
        raise ValueError(f"centroids must be of at least 2 classes, got {classes}")
    # Products in float64, about the mean: a near pair that lies far from the origin keeps its digits.
    points = centroids.double() - centroids.double().mean(dim=0)
    spread = variance.double()
    norms = points.square().sum(dim=1)
    total = torch.zeros((), dtype=torch.float64, device=points.device)
    for start in range(0, classes, block):
        rows, others = slice(start, min(start + block, classes)), slice(start, classes)  # every pair once
        squared = torch.addmm(norms[rows, None] + norms[others], points[rows], points[others].T, alpha=-2).clamp_min(0)
        later = torch.ones_like(squared, dtype=torch.bool).triu(diagonal=1)  # a class is no pair with itself
        total += ((spread[rows, None] + spread[others]) / (2 * squared))[later].sum()
    return float(total) / (classes * (classes - 1) / 2)
