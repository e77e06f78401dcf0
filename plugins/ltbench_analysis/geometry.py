"""Geometry of class vectors: lengths, angles, distances. Figures over pairs work in blocks of rows, never with a (C, C, d)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench

_BLOCK = 1024  # rows of a (C, C) matrix in memory at once: 64 MiB at 8,142 classes


def coefficient_of_variation(values: Tensor) -> float:
    """Return the standard deviation (divided by n) over the mean: 0 where all are alike; NaN where the mean is 0."""
    wide = values.double()
    return float(wide.std(correction=0) / wide.mean()) if wide.mean() != 0 else math.nan


def lengths(vectors: Tensor) -> Tensor:
    """Return the Euclidean norms of vectors of shape (N, d), float64, shape (N,)."""
    found: Tensor = vectors.double().norm(dim=1)
    return found


def centered(means: Tensor) -> Tensor:
    """Return class means, shape (C, d), about their own mean, in float64 (Liu et al., 2023, section 2.1).

    Every class counts alike, whatever its size: about the mean of all samples, the large classes would stand at the origin.
    """
    wide = means.double()
    return wide - wide.mean(dim=0)


@dataclass(frozen=True)
class PairCosines:
    """Summarize the cosines of all pairs.

    Args:
        largest: Of the closest pair.
        smallest: Of the farthest pair.
        deviation: Standard deviation over pairs.
        mean_angle: In degrees.
        from_simplex: Mean over pairs of |cos + 1 / (C - 1)|, the distance from a simplex.
    """

    largest: float
    smallest: float
    mean: float
    deviation: float
    mean_angle: float
    from_simplex: float

    @property
    def smallest_angle(self) -> float:
        """Of the closest pair, in degrees."""
        return math.degrees(math.acos(self.largest))


def pair_cosines(vectors: Tensor) -> PairCosines:
    """Summarize the cosines of all pairs of different vectors; a zero vector is at right angles to all.

    Args:
        vectors: Shape (C, d), C at least 2.
    """
    classes = len(vectors)
    largest, smallest, total, squares, angle, away = -1.0, 1.0, 0.0, 0.0, 0.0, 0.0
    for pairs in _pairs(vectors):
        largest, smallest = max(largest, float(pairs.max())), min(smallest, float(pairs.min()))
        total += float(pairs.sum())
        squares += float(pairs.square().sum())
        away += float((pairs + 1 / (classes - 1)).abs().sum())
        angle += float(pairs.acos_().sum())  # last, for it overwrites them
    count = classes * (classes - 1) / 2
    mean = total / count
    return PairCosines(largest, smallest, mean, math.sqrt(max(0.0, squares / count - mean**2)), math.degrees(angle / count),
                       away / count)


def smallest_angle(vectors: Tensor) -> float:
    """Return the angle of the closest pair in degrees, as :func:`pair_cosines` does, without the rest of it."""
    return math.degrees(math.acos(max(float(pairs.max()) for pairs in _pairs(vectors))))


def mean_cosines(vectors: Tensor) -> Tensor:
    """Return the mean cosine of each vector with the others, float64, shape (C,).

    Args:
        vectors: Shape (C, d), C at least 2.
    """
    unit = F.normalize(vectors.double(), dim=1)
    return (unit @ unit.sum(dim=0) - unit.square().sum(dim=1)) / (len(unit) - 1)


def angles(vectors: Tensor) -> Tensor:
    """Return the angle of every pair in degrees, float64, shape (C, C); 0 on the diagonal."""
    unit = F.normalize(vectors.double(), dim=1)
    return (unit @ unit.T).clamp_(-1, 1).acos_().rad2deg_().fill_diagonal_(0.0)


@dataclass(frozen=True)
class Separation:
    """Hold how far two groups of classes lie apart.

    Args:
        euclidean: Mean distance over pairs of different classes, one of each group.
        cosine: Mean cosine over the same pairs.
    """

    euclidean: float
    cosine: float


def separation(vectors: Tensor, left: Tensor, right: Tensor) -> Separation:
    """Average distance and cosine over pairs of different classes (Sharma et al., 2023, figure 3).

    Args:
        vectors: Shape (C, d).
        left: Positions of the classes of one group, shape (L,).
        right: Of the other, or of the same, shape (R,).

    Raises:
        ValueError: If there is no such pair.
    """
    if len(torch.unique(torch.cat([left, right]))) < 2:
        raise ValueError("left and right must hold two different classes")
    wide, unit = vectors.double(), F.normalize(vectors.double(), dim=1)
    distance, cosine, count = 0.0, 0.0, 0
    for block in torch.split(left, _BLOCK):
        other = block[:, None] != right[None]  # (b, R)
        distance += float(ltbench.euclidean_distance(wide[block], wide[right])[other].sum())
        cosine += float((unit[block] @ unit[right].T)[other].sum())
        count += int(other.sum())
    return Separation(distance / count, cosine / count)


def _pairs(vectors: Tensor) -> Iterator[Tensor]:
    """Yield the cosines of all pairs, each pair once, in parts of any shape."""
    if len(vectors) < 2:
        raise ValueError(f"vectors must be at least 2, got {len(vectors)}")
    unit = F.normalize(vectors.double(), dim=1)
    for start in range(0, len(unit), _BLOCK):
        block, later = unit[start:start + _BLOCK], unit[start + _BLOCK:]
        if len(later):
            yield (block @ later.T).clamp_(-1, 1)
        if len(block) > 1:
            left, right = torch.triu_indices(len(block), len(block), offset=1)
            yield (block @ block.T)[left, right].clamp_(-1, 1)
