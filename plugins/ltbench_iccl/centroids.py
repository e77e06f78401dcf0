"""Class centroids in the projected space, and the loss that retrieves them (section 3, eqs. 1, 4 and 5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench

_BLOCK = 512  # rows of a (C, C) matrix that exist at once: iNaturalist has 8,142 classes


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
    sums, sizes = class_sums(projections, labels, len(centroids))
    moved = F.normalize(momentum * centroids + (1 - momentum) * sums, dim=1)
    return torch.where(sizes[:, None] > 0, moved, centroids)


def class_sums(projections: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Return the sum of each class's projections, shape (C, d), and how many there are, shape (C,).

    Args:
        projections: Shape (B, d).
        labels: Shape (B,).
        num_classes: C.
    """
    # A product adds in one order, on every device and every process; index_add_ need not.
    members = (labels == torch.arange(num_classes, device=labels.device)[:, None]).to(projections.dtype)  # (C, B)
    return members @ projections, members.sum(dim=1)


def shares_found(sums: Tensor, sizes: Tensor, centroids: Tensor, class_counts: Tensor) -> dict[str, float]:
    """Return how many class means have the centroid of their own class as the most similar one, in percent of a split's classes.

    A centroid that follows its class too slowly points where the class was, and others are nearer.

    Args:
        sums: Of each class's projections; they point as their mean does. Shape (C, d).
        sizes: How many projections each class has, shape (C,); a class without any is left out.
        centroids: Shape (C, d); a class whose centroid is zero was never placed and is left out.
        class_counts: Training images of each class, shape (C,); they say which split a class is in.
    """
    placed = centroids.any(dim=1)
    nearest = [(part @ centroids.T).masked_fill(~placed, float("-inf")).argmax(dim=1) for part in torch.split(sums, _BLOCK)]
    found = torch.cat(nearest) == torch.arange(len(sums), device=sums.device)
    counted = placed & (sizes > 0)
    splits = {name: where & counted for name, where in ltbench.shot_splits(class_counts).items()}
    return {f"centroids_{name}": 100 * float(found[where].double().mean()) for name, where in splits.items() if where.any()}


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
