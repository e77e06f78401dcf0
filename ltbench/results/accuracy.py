"""Accuracy by class, and what is made of it: every figure is in percent.

Each figure is a mean over *classes*, never over images, so that a class counts the same however many test images it has (with a
balanced test part, the mean over all classes is the usual top-1 accuracy). Classes without test images have no accuracy and are
left out. Sums are exact (`math.fsum`), so that a record's figures can be recomputed to the last bit on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ltbench.results.predictions import Predictions
from ltbench.terms.shots import USUAL, Splits

Counts = npt.NDArray[np.int64]

SPLITS = ("all", "many", "medium", "few")


def per_class_counts(predictions: Predictions, num_classes: int) -> tuple[Counts, Counts]:
    """Count the right predictions and the images of each class.

    Args:
        num_classes: C.

    Returns:
        Correct and total, each int64 of shape (C,).

    Raises:
        ValueError: If a label or a prediction is no class.
    """
    for name, classes in (("labels", predictions.labels), ("argmax", predictions.argmax)):
        if len(classes) and classes.max() >= num_classes:
            raise ValueError(f"{name} must be below {num_classes}, got {classes.max()}")
    right = predictions.labels[predictions.argmax == predictions.labels]
    correct = np.bincount(right, minlength=num_classes)
    total = np.bincount(predictions.labels, minlength=num_classes)
    return correct.astype(np.int64), total.astype(np.int64)


def per_class_accuracy(correct: npt.ArrayLike, total: npt.ArrayLike) -> list[float | None]:
    """Return each class's accuracy in percent; None for a class without test images.

    Args:
        correct: Test images of each class that were classified right, shape (C,).
        total: Test images of each class, shape (C,).

    Raises:
        ValueError: If the shapes differ, or a class has more right predictions than images.
    """
    hits, images = np.asarray(correct, dtype=np.int64), np.asarray(total, dtype=np.int64)
    if hits.shape != images.shape or hits.ndim != 1:
        raise ValueError(f"correct and total must be of one shape (C,), got {hits.shape} and {images.shape}")
    if ((hits < 0) | (hits > images)).any():
        raise ValueError("correct must be between 0 and total in every class")
    return [100 * h / n if n else None for h, n in zip(hits.tolist(), images.tolist(), strict=True)]


def shot_accuracy(correct: npt.ArrayLike, total: npt.ArrayLike, class_counts: npt.ArrayLike,
                  splits: Splits = USUAL) -> dict[str, float | None]:
    """Average per-class accuracy over all, many-, medium- and few-shot classes.

    Classes are split by their training images: more than 100, 20 to 100, fewer than 20, unless others are asked for. A split
    without classes is None, so that nobody reads it as zero.

    Args:
        correct: Test images of each class that were classified right, shape (C,).
        total: Test images of each class, shape (C,).
        class_counts: Training images of each class, shape (C,).
        splits: Where many, medium and few part.
    """
    accuracy = per_class_accuracy(correct, total)
    counts = np.asarray(class_counts, dtype=np.int64).tolist()
    if len(counts) != len(accuracy):
        raise ValueError(f"class_counts must be of shape ({len(accuracy)},), got ({len(counts)},)")
    pairs = list(zip(accuracy, counts, strict=True))
    return {
        "all": _mean(accuracy),
        "many": _mean([a for a, n in pairs if n > splits.many_above]),
        "medium": _mean([a for a, n in pairs if splits.few_below <= n <= splits.many_above]),
        "few": _mean([a for a, n in pairs if n < splits.few_below]),
    }


def balanced_error(accuracy: Sequence[float | None]) -> float | None:
    """Return 100 minus the mean accuracy over classes.

    Args:
        accuracy: Of each class, in percent, as :func:`per_class_accuracy` gives it.
    """
    mean = _mean(accuracy)
    return None if mean is None else 100 - mean


def worst_class(accuracy: Sequence[float | None]) -> float | None:
    """Return the lowest accuracy of a class.

    Args:
        accuracy: Of each class, in percent.
    """
    return min(_known(accuracy), default=None)


def worst_tenth(accuracy: Sequence[float | None]) -> float | None:
    """Return the mean accuracy of the lowest tenth of the classes (rounded up: never no class).

    Args:
        accuracy: Of each class, in percent.
    """
    known = sorted(_known(accuracy))
    return _mean(known[: -(-len(known) // 10)])


def harmonic_mean(accuracy: Sequence[float | None]) -> float | None:
    """Return the harmonic mean over classes: 0 as soon as one class is never right.

    Args:
        accuracy: Of each class, in percent.
    """
    known = _known(accuracy)
    if not known or 0 in known:
        return 0.0 if known else None
    return len(known) / math.fsum(1 / value for value in known)


def _known(accuracy: Sequence[float | None]) -> list[float]:
    return [value for value in accuracy if value is not None]


def _mean(accuracy: Sequence[float | None]) -> float | None:
    known = _known(accuracy)
    return math.fsum(known) / len(known) if known else None
