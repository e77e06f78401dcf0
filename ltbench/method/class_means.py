"""Statistics over classes, in one pass and with memory O(C D)."""

from __future__ import annotations

import torch
from torch import Tensor

from ltbench.system.mapped import row_blocks

_ORIGIN = 1e-6  # of the longest mean, in length: as near to the origin as rounding leaves a mean that is there


def class_means(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Average the features of each class.

    Sums are kept in float64: iNaturalist's classes differ by three orders of magnitude in size, and a centroid of a large one
    must not lose digits. Features are read in blocks, so that those of a bank on disk need never be in memory together.

    Args:
        features: Shape (N, D); on any device.
        labels: Shape (N,).
        num_classes: C.

    Returns:
        Shape (C, D), in the type of the features, on the device of the labels; a class without samples gets zeros.
    """
    sums = torch.zeros(num_classes, features.shape[1], dtype=torch.float64, device=labels.device)
    for part, where in row_blocks(features, labels):
        sums.index_add_(0, where, part.double())
    counts = torch.bincount(labels, minlength=num_classes).clamp_min(1)
    return (sums / counts[:, None]).to(features.dtype)


def class_centroids(features: Tensor, labels: Tensor, num_classes: int, *, pointing: bool = False) -> Tensor:
    """Return the mean feature of each class, shape (C, D), to start prototypes from.

    The mean of no images would be the origin, which means nothing to a distance (and has no cosine): a class without images
    stands in the middle of the others.

    Args:
        features: Shape (N, D).
        labels: Shape (N,).
        num_classes: C.
        pointing: Whether a mean at the origin counts as none, too: for cosines, which it has with no feature.
    """
    means = class_means(features, labels, num_classes)
    present = torch.bincount(labels, minlength=num_classes) > 0
    if pointing:
        lengths = means.norm(dim=1)
        present &= lengths > _ORIGIN * lengths.max()
    if present.any():
        means[~present] = means[present].mean(dim=0)
    return means
