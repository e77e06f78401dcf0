"""Prototypes spread over the unit sphere before any training (Saadabadi et al., 2024, section 3.2.1).

They depend on dimension, number and seed alone, so each configuration is made once a process and kept.
"""

from __future__ import annotations

import functools
import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ltbench_hyperspherical.spread import TEMPERATURE, uniformity

Recipe = Literal["best", "paper", "file"]

STEPS = 1000  # as in section 4.1
_SUBSET = 1024  # prototypes moved in a step: the subset trick of section 3.2.1, where there are more
_SHARPEST = 400.0  # t at the end: towards infinity, the potential counts nothing but the closest pair
_RATE = 0.3
_MOMENTUM = 0.9


def estimate(dim: int, count: int, seed: int = 0, recipe: Recipe = "best") -> Tensor:
    """Return prototypes spread as evenly as we know how, unit rows in random order, float32, shape (C, d).

    Up to 2 d of them stand where no configuration has a smaller largest cosine; beyond, they are optimized.

    Args:
        dim: d, at least 2.
        count: C, at least 2.
        seed: Of rotation, order and starting points.
        recipe: ``best``, or ``paper`` for section 4.1's own: gradient descent at rate 0.1, which stays far from the optimum.

    Raises:
        ValueError: If there is no such sphere or nothing to spread.
    """
    if recipe == "file":
        raise ValueError("recipe must be best or paper where nothing is read, got file")
    if dim < 2 or count < 2:
        raise ValueError(f"dim and the number of prototypes must be >= 2, got {dim} and {count}")
    return _estimate(dim, count, seed, recipe).clone()


@functools.lru_cache(maxsize=32)
def _estimate(dim: int, count: int, seed: int, recipe: Recipe) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if recipe == "paper":
        return _by_descent(dim, count, generator)
    if count <= 2 * dim:
        return orthogonal_simplices(dim, count, generator)
    return _by_repulsion(dim, count, generator)


def orthogonal_simplices(dim: int, count: int, generator: torch.Generator) -> Tensor:
    """Return the optimum for C <= 2 d: one simplex where it fits, else simplices of nearly equal size in orthogonal subspaces.

    A simplex of m points fills m - 1 dimensions, so C - d of them fill d: one at C = d + 1, and d pairs of antipodes, the
    cross-polytope, at C = 2 d. Points of different simplices are orthogonal, points of one at an obtuse angle: the largest
    cosine is -1 / (C - 1) for C <= d + 1 and 0 beyond, which is optimal (``spread.cosine_bound``).

    Args:
        dim: d.
        count: C.
        generator: Rotates and shuffles.

    Returns:
        Float32, shape (C, d).
    """
    parts = max(1, count - dim)
    sizes = [count // parts + (part < count % parts) for part in range(parts)]
    blocks = [_simplex(size) for size in sizes]
    widths = [block.shape[1] for block in blocks]
    axes = torch.linalg.qr(torch.randn(dim, sum(widths), generator=generator, dtype=torch.float64)).Q.T  # orthonormal rows
    starts = [sum(widths[:part]) for part in range(parts)]
    rows = torch.cat([block @ axes[start : start + width] for block, start, width in zip(blocks, starts, widths, strict=True)])
    order = torch.randperm(count, generator=generator)
    return F.normalize(rows[order], dim=1).float()


def _simplex(count: int) -> Tensor:
    """Return the vertices of a regular simplex around the origin, unit rows, float64, shape (m, m - 1).

    Helmert's matrix: its rows are orthonormal and orthogonal to the vector of ones.
    """
    helmert = torch.ones(count - 1, count, dtype=torch.float64).tril()  # (m - 1, m)
    steps = torch.arange(1, count, dtype=torch.float64)
    helmert[torch.arange(count - 1), torch.arange(1, count)] = -steps
    return F.normalize((helmert / (steps * (steps + 1)).sqrt()[:, None]).T, dim=1)


def _by_repulsion(dim: int, count: int, generator: torch.Generator) -> Tensor:
    """Descend the Gaussian potential while t grows from eq. 3's to one that sees the closest pairs only.

    A prototype moves away from the average of the others, weighted by their potentials: the gradient of eq. 5 with every
    prototype's share of it brought to one length, or crowded ones would leave nothing for the rest. The rate falls as 1 / t,
    for that is how narrow the potential gets.
    """
    unit = F.normalize(torch.randn(count, dim, generator=generator), dim=1)
    speed = torch.zeros_like(unit)
    everything = torch.arange(count)
    for step in range(STEPS):
        sharper = (_SHARPEST / TEMPERATURE) ** min(1.0, step / (0.9 * STEPS))
        rows = everything if count <= _SUBSET else torch.randperm(count, generator=generator)[:_SUBSET]
        own = unit[rows]
        potential = (2 * TEMPERATURE * sharper) * (own @ unit.T)  # (S, C)
        potential[everything[: len(rows)], rows] = -math.inf
        crowd = potential.softmax(dim=1) @ unit
        speed[rows] = _MOMENTUM * speed[rows] - (crowd - (crowd * own).sum(dim=1, keepdim=True) * own)
        unit[rows] = F.normalize(own + _RATE / sharper * speed[rows], dim=1)
    return unit


def _by_descent(dim: int, count: int, generator: torch.Generator) -> Tensor:
    """Follow section 4.1: plain gradient descent on eq. 5 at rate 0.1 with all prototypes in every step."""
    unit = F.normalize(torch.randn(count, dim, generator=generator), dim=1)
    for _ in range(STEPS):
        leaf = unit.requires_grad_()
        (slope,) = torch.autograd.grad(uniformity(leaf), leaf)
        unit = F.normalize(leaf.detach() - 0.1 * slope, dim=1)
    return unit
