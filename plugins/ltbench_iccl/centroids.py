"""Class centroids in the projected space, and the loss that retrieves them (section 3, eqs. 1, 4 and 5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def updated_centroids(centroids: Tensor, projections: Tensor, labels: Tensor, momentum: float) -> Tensor:
    """Return eq. 1's running means after a batch, shape (C, d): m c_k plus (1 - m) times the class's sum, at length 1.

    Read literally, eq. 1 makes the centroid of a class without images in the batch decay, and lengths follow the class sizes.
    Here an absent class keeps its centroid, and lengths are 1, so that similarities are cosines. A class that was never seen is
    zero, and its first images place it.

    Args:
        centroids: Shape (C, d).
        projections: z_i, shape (B, d).
        labels: Shape (B,).
        momentum: m.
    """
    # A product adds in one order, on every device and every process; index_add_ need not.
    members = (labels == torch.arange(len(centroids), device=labels.device)[:, None]).to(projections.dtype)  # (C, B)
    moved = F.normalize(momentum * centroids + (1 - momentum) * (members @ projections), dim=1)
    return torch.where(members.any(dim=1, keepdim=True), moved, centroids)


def retrieval_losses(projections: Tensor, centroids: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return -log p(c^y | x), eq. 4, shape (B,): cross-entropy over the similarities to all centroids.

    Args:
        projections: z_i, shape (B, d).
        centroids: Shape (C, d).
        labels: y, shape (B,).
        temperature: tau.
    """
    with torch.autocast(projections.device.type, enabled=False):  # divided by tau, steps of half precision are too coarse
        similarities = projections.float() @ centroids.float().T  # (B, C)
        return F.cross_entropy(similarities / temperature, labels, reduction="none")
