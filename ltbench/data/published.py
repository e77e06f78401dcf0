"""Class counts as the authors of a dataset give them: enough to plan a run where the data itself is not there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ltbench.data.arrays import Floats
from ltbench.data.parts import Parts
from ltbench.errors import MissingData
from ltbench.terms.shots import FEW_BELOW, MANY_ABOVE, USUAL, Splits

_HALVINGS = 100


@dataclass(frozen=True)
class Totals:
    """Hold what a paper prints of a part.

    Args:
        many: Classes with more than 100 images.
        medium: Classes with 20 to 100.
        few: Classes with fewer than 20.
    """

    images: int
    largest: int
    smallest: int
    many: int
    medium: int
    few: int

    @classmethod
    def of(cls, counts: npt.ArrayLike, splits: Splits = USUAL) -> Totals:
        """Return the totals of class counts, shape (C,)."""
        images = np.asarray(counts, dtype=np.int64)
        found = splits.tally(images.tolist())
        return cls(int(images.sum()), int(images.max()), int(images.min()), found["many"], found["medium"], found["few"])


@dataclass(frozen=True)
class Published:
    """Hold the images of each class.

    Args:
        train: Before any long-tailed selection, shape (C,).
        test: Shape (C,).
        val: Shape (C,); None where the set has no validation part beside the test part.
        stated: What is known of the training part where ``train`` is made up; None where ``train`` holds the true counts.
        train_digest: Of the true training counts where ``train`` is made up and they are known, see :func:`counts_digest`.
    """

    train: tuple[int, ...]
    test: tuple[int, ...]
    val: tuple[int, ...] | None = None
    stated: Totals | None = None
    train_digest: str | None = None

    @classmethod
    def even(cls, num_classes: int, *, train: int, test: int) -> Published:
        """Return the counts of a balanced set."""
        return cls((train,) * num_classes, (test,) * num_classes)

    @classmethod
    def natural(cls, stated: Totals, *, test: int, val: int | None = None, train_digest: str | None = None) -> Published:
        """Return the counts of a set that is long-tailed as it is, the training ones made up to what is known of them."""
        train = natural_counts(stated.images, stated.largest, stated.smallest, many=stated.many, medium=stated.medium,
                               few=stated.few)
        return cls(train, (test,) * len(train), None if val is None else (val,) * len(train), stated, train_digest)


def counts_digest(counts: npt.ArrayLike) -> str:
    """Return the sha256 of class counts as little-endian int64, in the order of the classes."""
    return hashlib.sha256(np.ascontiguousarray(counts, dtype="<i8").tobytes()).hexdigest()


def natural_counts(total: int, largest: int, smallest: int, *, many: int, medium: int, few: int) -> tuple[int, ...]:
    """Make up class counts, in falling order, that agree with every total that a paper prints of a naturally long-tailed set.

    Medium and few classes fall exponentially; the many-shot ones more steeply, as the total asks.

    Returns:
        Shape (many + medium + few,).
    """
    rest = np.rint(np.concatenate([np.geomspace(MANY_ABOVE, FEW_BELOW, medium), np.geomspace(FEW_BELOW - 1, smallest, few)]))
    wanted = total - int(rest.sum())

    def head(steepness: float) -> Floats:
        falling = np.linspace(1, 0, many) ** steepness
        return np.asarray((MANY_ABOVE + 1) * (largest / (MANY_ABOVE + 1)) ** falling, dtype=np.float64)

    low, high = 1e-3, 1e3
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if head(middle).sum() > wanted else (low, middle)
    counts = np.floor(head(high)).astype(np.int64)
    missing = wanted - int(counts.sum())
    if not 0 <= missing < many:
        raise ValueError(f"total must fit between {largest} and {smallest} images a class, got {total}")
    counts[1:missing + 1] += 1  # what rounding down has left over; the largest class keeps its number
    return tuple(int(count) for count in (*counts, *rest))


@dataclass(frozen=True, eq=False)
class Unread:
    """Stand for a part whose images are not there.

    Args:
        labels: Class by class, int64, shape (N,).
    """

    name: str
    labels: Tensor

    def fetch(self, indices: Tensor) -> Tensor:
        """Refuse."""
        raise MissingData(f"the images of {self.name} are not there: with published class counts a run can only be planned")


def unread_parts(name: str, published: Published) -> Parts:
    """Return both parts of a dataset, with labels and without images."""
    train, test = (torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
                   for counts in (published.train, published.test))
    return Parts(Unread(name, train), Unread(name, test))
