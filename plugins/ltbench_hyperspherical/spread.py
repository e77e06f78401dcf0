"""How evenly unit vectors are spread: the uniformity loss (eqs. 3 to 5), cosines, angles, and the proved bounds on them.

Saadabadi et al., 2024. Figures over pairs work in blocks of rows, with memory O(block C) beyond the vectors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 2.0  # t of eq. 3; the paper prints none, this is the value of the work that it builds on (Wang and Isola, 2020)
_BLOCK = 1024


def uniformity(prototypes: Tensor, temperature: float = TEMPERATURE, rows: Tensor | None = None) -> Tensor:
    """Return L_uni, the logarithm of the mean Gaussian potential of a prototype against all (eqs. 3 to 5); differentiable.

    Pairs of a prototype with itself count, as in eq. 5: they add a constant inside the logarithm.

    Args:
        prototypes: Of any length above 0, shape (C, d); their directions are compared.
        temperature: t of eq. 3.
        rows: The subset of prototypes on the left side of the pairs, shape (S,); None for all.
    """
    unit = F.normalize(prototypes, dim=1)
    left = unit if rows is None else unit[rows]
    # ||u - v||^2 = 2 - 2 cos for unit vectors.
    return (2 * temperature * (left @ unit.T - 1)).flatten().logsumexp(dim=0) - math.log(len(left))


def _cosines(prototypes: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield cosines of a block of prototypes with all, shape (b, C), and where a prototype meets itself, likewise."""
    unit = F.normalize(prototypes.detach().double(), dim=1)
    everything = torch.arange(len(unit), device=unit.device)
    for start in range(0, len(unit), _BLOCK):
        yield unit[start : start + _BLOCK] @ unit.T, everything[start : start + _BLOCK, None] == everything


def largest_cosine(prototypes: Tensor) -> float:
    """Return the cosine of the closest pair (table 7, "max"); figure 2c shows 1 minus it.

    Args:
        prototypes: Shape (C, d), C at least 2.
    """
    return float(torch.stack([cosines.masked_fill_(own, -2).amax() for cosines, own in _cosines(prototypes)]).amax())


def smallest_cosine(prototypes: Tensor) -> float:
    """Return the cosine of the farthest pair (table 7, "min").

    Args:
        prototypes: Shape (C, d), C at least 2.
    """
    return float(torch.stack([cosines.masked_fill_(own, 2).amin() for cosines, own in _cosines(prototypes)]).amin())


def cosine_bound(dim: int, count: int) -> float:
    """Return a proved lower bound on the largest cosine of unit vectors, whatever their configuration.

    Rankin's bounds hold with equality up to 2 d vectors: -1 / (C - 1) for C <= d + 1, and 0 from there on. Beyond, the circle
    is cut into equal slices; elsewhere it is the third of Levenshtein's bounds, C <= d (1 - s) (2 + (d + 1) s) / (1 - d s^2)
    with s the largest cosine. That one holds up to s = (sqrt(d + 3) - 1) / (d + 2); where C asks for more, at least so much
    is needed.

    Args:
        dim: d, at least 2.
        count: C, at least 2.
    """
    if dim < 2 or count < 2:
        raise ValueError(f"dim and count must be >= 2, got {dim} and {count}")
    if count <= dim + 1:
        return -1 / (count - 1)
    if count <= 2 * dim:
        return 0.0
    if dim == 2:
        return math.cos(2 * math.pi / count)
    # C (1 - d s^2) = d (1 - s) (2 + (d + 1) s), as a s^2 + b s + c = 0 with a > 0 > c.
    a, b, c = dim * (count - dim - 1), dim * (dim - 1), 2 * dim - count
    root = (-b + math.sqrt(b * b - 4 * a * c)) / (2 * a)
    return min(root, (math.sqrt(dim + 3) - 1) / (dim + 2))
