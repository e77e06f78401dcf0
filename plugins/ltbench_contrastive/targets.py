"""Targets spread evenly on the sphere, and which class each stands for (Li et al., 2022)."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

_TEMPERATURE = 0.07
_STEPS = 1000
_RATE = 0.5
_WORK = 4e11  # floating-point operations of a descent at most: 500 steps at 1,000 classes and 128 dimensions, 7 at 8,142
_BLOCK = 256


@functools.lru_cache(maxsize=8)
def spread(dim: int, count: int, seed: int) -> Tensor:
    """Return unit rows as far from each other as they can be, float32, shape (C, d).

    Up to d + 1 of them are a regular simplex, which is best. More are found by descending the mean over targets of
    log(sum over the others of exp(cos / .07)).

    Args:
        dim: d.
        count: C.
        seed: Of the rotation, or of where the descent begins.
    """
    generator = torch.Generator().manual_seed(seed)
    if count <= dim + 1:
        vertices = torch.linalg.svd(torch.eye(count, dtype=torch.float64) - 1 / count)[0][:, :count - 1]  # (C, C - 1)
        turned = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64))[0]
        simplex: Tensor = F.normalize(vertices, dim=1) @ turned[:count - 1]
        return simplex.float()
    unit = F.normalize(torch.randn(count, dim, generator=generator), dim=1)
    steps = max(1, min(_STEPS, int(_WORK / (6 * count**2 * dim))))
    for step in range(steps):
        rate = _RATE * (1 + math.cos(math.pi * step / steps)) / 2
        unit = F.normalize(unit - rate * _push(unit), dim=1)
    return unit


def _push(unit: Tensor) -> Tensor:
    """Return the slope of the descended sum, times the temperature, shape (C, d); in blocks of rows."""
    slope = torch.zeros_like(unit)
    for start in range(0, len(unit), _BLOCK):
        rows = slice(start, start + _BLOCK)
        cosines = unit[rows] @ unit.T
        cosines.diagonal(start).fill_(-torch.inf)
        shares = (cosines / _TEMPERATURE).softmax(dim=1)
        slope[rows] += shares @ unit
        slope += shares.T @ unit[rows]
    return slope


def match(centers: Tensor, targets: Tensor, current: Tensor) -> Tensor:
    """Return the target of each class so that the sum of cosines is largest, int64, shape (C,); -1 for one without a center.

    Depends on the arguments alone: every process comes to the same.

    Args:
        centers: Of each class, zeros for none yet, shape (C, d).
        targets: Shape (C, d).
        current: The match so far, shape (C,): that of a training that has diverged, which the loop, not the solver, shall stop.
    """
    rows = (centers != 0).any(dim=1).nonzero()[:, 0]
    if not len(rows) or not torch.isfinite(centers).all():
        return current
    apart = centers[rows].double()
    if len(rows) == len(targets):
        # What all centers have in common adds the same to every match, and without it the solver is ten times faster.
        apart -= apart.mean(dim=0)
    costs = -(apart @ targets.double().T)
    chosen = torch.from_numpy(linear_sum_assignment(costs.cpu().numpy())[1]).to(current)
    return torch.full_like(current, -1).index_copy_(0, rows, chosen)


def moved(centers: Tensor, rows: Tensor, labels: Tensor, momentum: float) -> Tensor:
    """Return centers moved to the mean direction of their classes in a batch, length 1; others as they are, shape (C, d).

    Args:
        centers: Before, zeros for none yet, shape (C, d).
        rows: Projections, length 1, shape (G, d).
        labels: Shape (G,).
        momentum: Share that a center keeps.
    """
    means = F.normalize(torch.zeros_like(centers).index_add_(0, labels, rows), dim=1)
    here = torch.zeros_like(centers[:, :1]).index_fill_(0, labels, 1.0)
    return torch.where(here > 0, F.normalize(momentum * centers + (1 - momentum) * means, dim=1), centers)
