"""Class counts as the authors of a dataset give them: enough to plan a run where the data itself is not there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ltbench.data.arrays import Floats
from ltbench.data.base import Parts
from ltbench.errors import MissingData

# The classes of the field: many have more than 100 images, few fewer than 20.
_MANY, _FEW = 100, 20
_HALVINGS = 100


@dataclass(frozen=True)
class Published:
    """Hold the images of each class.

    Args:
        train: Before any long-tailed selection, shape (C,).
        test: Shape (C,).
    """

    train: tuple[int, ...]
    test: tuple[int, ...]

    @classmethod
    def even(cls, num_classes: int, *, train: int, test: int) -> Published:
        """Return the counts of a balanced set.

        Args:
            num_classes: C.
            train: Images of every class in the training part.
            test: Likewise in the test part.
        """
        return cls((train,) * num_classes, (test,) * num_classes)


def natural_counts(total: int, largest: int, smallest: int, *, many: int, medium: int, few: int) -> tuple[int, ...]:
    """Make up class counts, in falling order, that agree with every total that a paper prints of a naturally long-tailed set.

    Medium and few classes fall exponentially; the many-shot ones more steeply, as the total asks.

    Args:
        total: Images in all.
        largest: Images of the largest class, more than 100.
        smallest: Images of the smallest class, fewer than 20.
        many: Classes with more than 100 images.
        medium: Classes with 20 to 100.
        few: Classes with fewer than 20.

    Returns:
        Shape (many + medium + few,).
    """
    rest = np.rint(np.concatenate([np.geomspace(_MANY, _FEW, medium), np.geomspace(_FEW - 1, smallest, few)]))
    wanted = total - int(rest.sum())

    def head(steepness: float) -> Floats:
        falling = np.linspace(1, 0, many) ** steepness
        return np.asarray((_MANY + 1) * (largest / (_MANY + 1)) ** falling, dtype=np.float64)

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
        name: Of the dataset.
        labels: Class by class, int64, shape (N,).
    """

    name: str
    labels: Tensor

    def fetch(self, indices: Tensor) -> Tensor:
        """Refuse.

        Raises:
            MissingData: Always.
        """
        raise MissingData(f"the images of {self.name} are not there: with published class counts a run can only be planned")


def unread_parts(name: str, published: Published) -> Parts:
    """Return both parts of a dataset, with labels and without images.

    Args:
        name: Of the dataset.
        published: Its class counts.
    """
    train, test = (torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
                   for counts in (published.train, published.test))
    return Parts(Unread(name, train), Unread(name, test))
