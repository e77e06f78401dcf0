"""Samplers: which training images an epoch draws, as one global list that is the same on every process.

Every sampler works with whole arrays, for iNaturalist 2018 has 437,513 images in 8,142 classes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ltbench.data.arrays import Floats, Ints


class Sampler(ABC):
    """Draw positions of training images."""

    @abstractmethod
    def draw(self, labels: Ints, num_draws: int, generator: np.random.Generator) -> Ints:
        """Return positions, int64, shape (num_draws,).

        Args:
            labels: Class of every training image, shape (N,).
            generator: Seeded alike on every process.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the sampler's name and settings as JSON types, for records."""


def _shuffle_within(groups: Ints, generator: np.random.Generator) -> Ints:
    """Return positions that shuffle an array inside each of its runs of equal, ascending group numbers, shape (S,)."""
    return np.lexsort((generator.random(len(groups)), groups))


def _check(labels: Ints, num_draws: int) -> None:
    if num_draws < 0:
        raise ValueError(f"num_draws must be >= 0, got {num_draws}")
    if num_draws and not len(labels):
        raise ValueError("labels must hold at least one image, got none")


@dataclass(frozen=True)
class InstanceBalanced(Sampler):
    """Draw every image equally often: a random permutation, and a fresh one each time it runs out."""

    def draw(self, labels: Ints, num_draws: int, generator: np.random.Generator) -> Ints:
        """Return positions, int64, shape (num_draws,)."""
        _check(labels, num_draws)
        size = len(labels)
        rounds = np.repeat(np.arange(-(-num_draws // max(size, 1))), size)
        return (_shuffle_within(rounds, generator)[:num_draws] % max(size, 1)).astype(np.int64)

    def describe(self) -> dict[str, Any]:
        """Return the name."""
        return {"sampler": "instance_balanced"}


class _ByClass(Sampler):
    """Draw a class first, then an image of it, each image of a class once before any comes again."""

    name: ClassVar[str]

    @abstractmethod
    def class_weights(self, counts: Ints) -> Floats:
        """Return a number proportional to each class's probability, shape (C,), given counts (C,) that are all positive."""

    def draw(self, labels: Ints, num_draws: int, generator: np.random.Generator) -> Ints:
        """Return positions, int64, shape (num_draws,)."""
        _check(labels, num_draws)
        if not num_draws:
            return np.zeros(0, np.int64)
        # Classes without images take no part, whatever their number.
        _, compact, counts = np.unique(labels, return_inverse=True, return_counts=True)
        weights = self.class_weights(counts.astype(np.int64))
        edges = np.cumsum(weights / weights.sum())
        drawn = np.searchsorted(edges[:-1], generator.random(num_draws), side="right")  # (num_draws,) classes
        wanted = np.bincount(drawn, minlength=len(counts))  # (C,)
        rounds = -(-wanted // counts)  # how often each class is gone through, (C,)

        # Lay out every round of every class one after the other and shuffle within each round.
        round_sizes = np.repeat(counts, rounds)
        slots = _shuffle_within(np.repeat(np.arange(len(round_sizes)), round_sizes), generator)  # (S,)
        slot_class = np.repeat(np.arange(len(counts)), counts * rounds)
        slot_start = np.cumsum(counts * rounds) - counts * rounds
        within = (slots - slot_start[slot_class]) % counts[slot_class]
        by_class = np.argsort(compact, kind="stable")
        image = by_class[(np.cumsum(counts) - counts)[slot_class] + within]  # (S,)

        # The j-th draw of a class takes its j-th slot.
        order = np.argsort(drawn, kind="stable")
        rank = np.arange(num_draws) - np.repeat(np.cumsum(wanted) - wanted, wanted)
        positions = np.empty(num_draws, np.int64)
        positions[order] = image[slot_start[drawn[order]] + rank]
        return positions

    def describe(self) -> dict[str, Any]:
        """Return the name."""
        return {"sampler": self.name}


@dataclass(frozen=True)
class ClassAware(_ByClass):
    """Draw class k with probability proportional to (1 / n_k) ** gamma.

    Args:
        gamma: 0 is class-balanced, 1 class-reversed, -1 instance-balanced in expectation.
    """

    name: ClassVar[str] = "class_aware"
    gamma: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.gamma):
            raise ValueError(f"gamma must be a finite number, got {self.gamma}")

    def class_weights(self, counts: Ints) -> Floats:
        """Return n_k ** -gamma relative to the largest class (a large gamma must not overflow), shape (C,)."""
        logs = -self.gamma * np.log(counts.astype(np.float64))
        return np.asarray(np.exp(logs - logs.max()), dtype=np.float64)

    def describe(self) -> dict[str, Any]:
        """Return the name and gamma."""
        return super().describe() | {"gamma": self.gamma}


@dataclass(frozen=True)
class ClassBalanced(_ByClass):
    """Draw every class equally often (in the literature also "class-aware", or "uniform")."""

    name: ClassVar[str] = "class_balanced"

    def class_weights(self, counts: Ints) -> Floats:
        """Return ones, shape (C,)."""
        return np.ones(len(counts))


@dataclass(frozen=True)
class ClassReversed(_ByClass):
    """Draw class k with probability proportional to 1 / n_k (Zhou et al., 2020, eq. 6)."""

    name: ClassVar[str] = "class_reversed"

    def class_weights(self, counts: Ints) -> Floats:
        """Return 1 / n_k, shape (C,)."""
        return np.asarray(1.0 / counts, dtype=np.float64)


@dataclass(frozen=True)
class SquareRoot(_ByClass):
    """Draw class k with probability proportional to the square root of n_k (Kang et al., 2020, eq. 1 with q = 1/2)."""

    name: ClassVar[str] = "square_root"

    def class_weights(self, counts: Ints) -> Floats:
        """Return sqrt(n_k), shape (C,)."""
        return np.sqrt(counts.astype(np.float64))


@dataclass(frozen=True)
class OfClasses(Sampler):
    """Draw from images of some classes alone, as another sampler does: one expert's share of the training set.

    Args:
        classes: Their numbers; one of them at least must have an image.
        sampler: How their images are drawn.
    """

    classes: tuple[int, ...]
    sampler: Sampler = InstanceBalanced()

    def draw(self, labels: Ints, num_draws: int, generator: np.random.Generator) -> Ints:
        """Return positions, int64, shape (num_draws,)."""
        kept = np.flatnonzero(np.isin(labels, self.classes))
        return np.asarray(kept[self.sampler.draw(labels[kept], num_draws, generator)], dtype=np.int64)

    def describe(self) -> dict[str, Any]:
        """Return the name, the classes, and how they are drawn."""
        return {"sampler": "of_classes", "classes": list(self.classes), "of": self.sampler.describe()}
