"""Figures of class counts: totals, a histogram, one number for how uneven they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ltbench.data.arrays import Ints
from ltbench.data.inspection.findings import Finding

_BINS = 12
_BAR = 40  # signs of the longest bar

GINI = "mean absolute difference of two classes' images, over twice the mean count: 0 is balanced, near 1 all in one class"


def class_counts(labels: Tensor, num_classes: int, part: str) -> tuple[Ints, list[Finding]]:
    """Count the images of each class; one whose label is no class is counted nowhere and reported.

    Returns:
        Images of each class, int64, shape (C,), and what is wrong.
    """
    classes = labels.cpu().numpy()
    inside = (classes >= 0) & (classes < num_classes)
    wrong = [Finding("label", f"{part}: image {index} must have a label from 0 to {num_classes - 1}, got {classes[index]}")
             for index in np.flatnonzero(~inside)]
    return np.bincount(classes[inside], minlength=num_classes).astype(np.int64), wrong


def gini(counts: npt.ArrayLike) -> float:
    """Return the Gini coefficient of class counts, see ``GINI``.

    Args:
        counts: Images of each class, at least one image in all, shape (C,).
    """
    # With counts in rising order, the sum of |n_i - n_j| over all ordered pairs is 2 sum_i (2 i - C - 1) n_i, i from 1.
    rising = np.sort(np.asarray(counts, dtype=np.int64))
    weights = 2 * np.arange(1, len(rising) + 1) - len(rising) - 1
    return float((weights * rising).sum() / (len(rising) * rising.sum()))


@dataclass(frozen=True)
class Bin:
    """Hold one bar of a histogram."""

    low: int
    high: int
    classes: int


def histogram(counts: npt.ArrayLike) -> list[Bin]:
    """Sort classes by their images into bins of equal width on a logarithmic scale.

    Returns:
        From few images to many; the first bin holds the classes without any, where there are some.
    """
    images = np.asarray(counts, dtype=np.int64)
    empty = int((images == 0).sum())
    found = [Bin(0, 0, empty)] if empty else []
    held = images[images > 0]
    if not len(held):
        return found
    # Whole edges: narrow bins at the small end fall together.
    edges = np.unique(np.rint(np.geomspace(held.min(), held.max() + 1, _BINS + 1)).astype(np.int64))
    totals, _ = np.histogram(held, bins=edges)
    # numpy counts the last edge, which no class reaches, into the last bin.
    return found + [Bin(int(low), int(high) - 1, int(classes))
                    for low, high, classes in zip(edges[:-1], edges[1:], totals, strict=True)]


def draw_histogram(bins: Sequence[Bin]) -> list[str]:
    """Return a histogram as lines of text."""
    most = max((part.classes for part in bins), default=0)
    names = [f"{part.low:,}" if part.low == part.high else f"{part.low:,} to {part.high:,}" for part in bins]
    width = max(map(len, names), default=0)
    # A class that is there shows, however long the other bars are.
    return [f"{name:>{width}}  {part.classes:>5,}  {'#' * -(-_BAR * part.classes // most)}".rstrip()
            for name, part in zip(names, bins, strict=True)]
