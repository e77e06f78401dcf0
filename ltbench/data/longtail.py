"""The long-tailed construction (Cui et al., 2019, section 5.1; Cao et al., 2019, section 4): how many images, and which."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ltbench.data.arrays import Ints
from ltbench.errors import UserError

Imbalance = Literal["exp", "step"]

_MAX_LEGACY_SEED = 2**32 - 1


@dataclass(frozen=True, eq=False)
class Split:
    """Hold the training images that a run may see.

    Args:
        indices: Positions in the training part, class by class, int64, shape (n,).
        class_counts: Realized images of each class, int64, shape (C,).
    """

    indices: Ints
    class_counts: Ints
    hash: str


def exponential_counts(num_classes: int, max_per_class: int, ratio: float) -> list[int]:
    """Return ``int(max_per_class * (1 / ratio) ** (k / (C - 1)))`` for every class k: truncated, never rounded."""
    last = max(num_classes - 1, 1)
    return [int(max_per_class * (1 / ratio) ** (k / last)) for k in range(num_classes)]


def step_counts(num_classes: int, max_per_class: int, ratio: float) -> list[int]:
    """Return ``max_per_class`` for the first half of the classes (rounded down), ``int(max_per_class / ratio)`` for the rest."""
    head = num_classes // 2
    return [max_per_class] * head + [int(max_per_class / ratio)] * (num_classes - head)


_COUNTS = {"exp": exponential_counts, "step": step_counts}


def select(labels: npt.ArrayLike, counts: npt.ArrayLike, split_seed: int) -> Ints:
    """Choose images as the reference code does, so that split seed 0 gives the subset that the literature reports on.

    One legacy generator shuffles the index list of each class in label order; the first n are kept.

    Args:
        labels: Class of every image, shape (N,).
        counts: Images to keep of each class, shape (C,).

    Returns:
        Positions, class by class, int64, shape (sum of counts,).

    Raises:
        UserError: If a class has fewer images than asked for: never silently fewer.
    """
    if not 0 <= split_seed <= _MAX_LEGACY_SEED:
        raise UserError(f"split seed must be between 0 and {_MAX_LEGACY_SEED}, got {split_seed}")
    classes, wanted = np.asarray(labels), np.asarray(counts)
    generator = np.random.RandomState(split_seed)
    kept = []
    for k, count in enumerate(wanted):
        positions = np.flatnonzero(classes == k)
        if count > len(positions):
            raise UserError(f"images of class {k} must be at most the {len(positions)} that there are, got {count}")
        generator.shuffle(positions)
        kept.append(positions[:count])
    return np.concatenate(kept).astype(np.int64)


def split_hash(indices: npt.ArrayLike) -> str:
    """Return the sha256 of the index list as little-endian int64: two runs with one hash saw the same images."""
    return hashlib.sha256(np.ascontiguousarray(indices, dtype="<i8").tobytes()).hexdigest()


def _largest_whole_ratio(num_classes: int, max_per_class: int, imbalance: Imbalance) -> int:
    # Not simply max_per_class: 49 * (1 / 49) is below 1 in floating point.
    counts = _COUNTS[imbalance]
    return next(ratio for ratio in range(max_per_class, 0, -1) if min(counts(num_classes, max_per_class, ratio)) >= 1)


def long_tailed_counts(num_classes: int, max_per_class: int, ratio: float, imbalance: Imbalance = "exp") -> list[int]:
    """Return the images of each class, shape (C,), for a ratio that makes sense.

    Raises:
        UserError: If the ratio is not a finite number of at least 1, or leaves a class without images.
    """
    if imbalance not in _COUNTS:
        raise UserError(f"imbalance must be one of {', '.join(_COUNTS)}, got {imbalance!r}")
    if not (math.isfinite(ratio) and ratio >= 1):
        raise UserError(f"ratio must be a finite number of at least 1 (largest class over smallest), got {ratio:g}")
    counts = _COUNTS[imbalance](num_classes, max_per_class, ratio)
    if min(counts) < 1:
        largest = _largest_whole_ratio(num_classes, max_per_class, imbalance)
        raise UserError(f"ratio must be at most {largest} here, got {ratio:g}: class {counts.index(0)} would have no image")
    return counts


def make_split(
    labels: npt.ArrayLike,
    num_classes: int,
    max_per_class: int | None,
    ratio: float | None,
    imbalance: Imbalance = "exp",
    split_seed: int = 0,
    per_class: int | None = None,
) -> Split:
    """Draw the training images of a task.

    Args:
        labels: Class of every image of the training part, shape (N,).
        max_per_class: Images of the largest class; None for a dataset that is long-tailed by nature.
        ratio: Largest count over smallest; None takes the training part as it is.
        per_class: At most this many images a class, or None: it cuts counts after the construction, for smoke tests.
    """
    classes = np.asarray(labels, dtype=np.int64)
    available = np.bincount(classes, minlength=num_classes)
    if len(available) > num_classes:
        raise UserError(f"labels must be below {num_classes}, got {int(classes.max())}")
    if per_class is not None and per_class < 1:
        raise UserError(f"per_class must be at least 1, got {per_class}")
    if ratio is None:
        if not available.all():
            raise UserError(f"every class must have a training image, class {int(np.argmin(available))} has none")
        counts = available
    elif max_per_class is None:
        raise UserError(f"ratio must be left out for a dataset that is long-tailed by nature, got {ratio:g}")
    else:
        counts = np.asarray(long_tailed_counts(num_classes, max_per_class, ratio, imbalance))
    # Checked before the cap, so that a smoke test refuses what the full run would refuse.
    for k in np.flatnonzero(counts > available)[:1]:
        raise UserError(f"images of class {k} must be at most the {available[k]} that there are, got {counts[k]}")
    counts = (counts if per_class is None else np.minimum(counts, per_class)).astype(np.int64)
    if ratio is None and per_class is None:
        indices = np.argsort(classes, kind="stable").astype(np.int64)
    else:
        indices = select(classes, counts, split_seed)
    return Split(indices, counts, split_hash(indices))


def test_indices(labels: npt.ArrayLike, num_classes: int, per_class: int | None = None) -> Ints:
    """Return the test images to predict, in stored order: all of them, or the first ``per_class`` of each class."""
    classes = np.asarray(labels, dtype=np.int64)
    if per_class is None:
        return np.arange(len(classes), dtype=np.int64)
    first = [np.flatnonzero(classes == k)[:per_class] for k in range(num_classes)]
    return np.sort(np.concatenate(first)).astype(np.int64)


test_indices.__test__ = False  # type: ignore[attr-defined]  # its name looks like a test to pytest, where it is imported
