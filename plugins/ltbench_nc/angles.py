"""Angles between centered class means, with gradients that are finite wherever the means lie."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

_BLOCK = 1024  # rows of a (K, K) matrix that exist at once: iNaturalist has 8,142 classes


def _rounding(dtype: torch.dtype) -> float:
    return 8 * torch.finfo(dtype).eps


def _center(means: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Return directions of the means around their own mean (K, d), and which of them have one, bool (K,).

    A mean that rounding cannot tell from the center has no direction: the only one of a batch, or two that coincide.
    """
    count = present.sum().clamp_min(1)
    centered = means - (means * present[:, None]).sum(dim=0) / count
    length = torch.linalg.vector_norm(centered, dim=1)  # (K,)
    with torch.no_grad():
        largest = (torch.linalg.vector_norm(means, dim=1) * present).amax()
        usable = present & (length > _rounding(means.dtype) * largest)
    return centered / torch.where(usable, length, torch.ones_like(length))[:, None], usable


def _cosines(directions: Tensor, usable: Tensor, without: float) -> Iterator[Tensor]:
    """Yield blocks of rows of the cosine matrix; ``without`` stands on its diagonal and where a vector has no direction."""
    for start in range(0, len(directions), _BLOCK):
        rows = directions[start:start + _BLOCK] @ directions.T  # (b, K)
        rows.masked_fill_(~usable, without)
        rows.diagonal(offset=start).fill_(without)
        yield rows


def _angle(u: Tensor, v: Tensor, counted: Tensor) -> Tensor:
    """Return the angles between rows of unit vectors, shape (K,), in radians; 0 where they are not counted.

    The slope of arccos is infinite at cosines of 1 and -1; that of the angle itself, as a vector turns, is 1 everywhere. Only at
    0 and pi it has no direction: there the gradient is 0.
    """
    cosine = (u * v).sum(dim=1)
    across = torch.linalg.vector_norm(v - cosine[:, None] * u, dim=1)
    sine = torch.where(counted & (across > _rounding(u.dtype)), across, torch.zeros_like(across))
    return torch.atan2(sine, torch.where(counted, cosine, torch.ones_like(cosine)))


def smallest_angles(means: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Return the angle from each centered class mean to the nearest other one.

    Only one pair a class is differentiated: the gradient costs O(K d), whatever the number of pairs.

    Args:
        means: Shape (K, d).
        present: Which rows are class means, bool, shape (K,).

    Returns:
        Angles in radians, shape (K,), 0 where there is none; and which rows have one, bool, shape (K,).
    """
    directions, usable = _center(means, present)
    counted = usable & (usable.sum() > 1)
    with torch.no_grad():
        nearest = torch.cat([rows.argmax(dim=1) for rows in _cosines(directions.detach(), usable, -math.inf)])  # (K,)
    return _angle(directions, directions[nearest], counted), counted


@torch.no_grad()
def summarize_angles(means: Tensor, present: Tensor) -> dict[str, float]:
    """Return the smallest and the mean angle over all pairs of centered class means, in degrees; none with fewer than two.

    Args:
        means: Shape (K, d).
        present: Which rows are class means, bool, shape (K,).
    """
    directions, usable = _center(means.double(), present)
    directions = directions[usable]
    count = len(directions)
    if count < 2:
        return {}
    everywhere = torch.ones(count, dtype=torch.bool, device=means.device)
    smallest, total = math.inf, 0.0
    for rows in _cosines(directions, everywhere, -1.0):
        angles = rows.clamp_(-1, 1).arccos()
        smallest, total = min(smallest, float(angles.min())), total + float(angles.sum())
    mean = (total - count * math.pi) / (count * (count - 1))  # without the diagonal, which was pi
    return {"smallest_angle": math.degrees(smallest), "mean_angle": math.degrees(mean)}
