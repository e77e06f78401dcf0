"""Which test images each run got right: what the statistics of a board are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ltbench.errors import UserError
from ltbench.leaderboard.rows import Run
from ltbench.leaderboard.sketch import Sketch, sketch
from ltbench.results.records import Mismatch, Stored, load_predictions, verify
from ltbench.terms.shots import USUAL, Splits


@dataclass(frozen=True, eq=False)
class Outcome:
    """Hold which of N test images one run got right.

    Args:
        path: Of the run's record.
        class_counts: Training images of each of C classes.
        ids: Position of each image in the whole test part, int64, shape (N,).
        labels: True class of each image, int64, shape (N,).
        correct: bool, shape (N,).
        splits: Where many, medium and few part.
        sketch: What a page draws of the predictions; None where they do not fit the record.
        tested_on: Hash of the test images and their labels.
    """

    path: Path
    class_counts: list[int]
    ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    correct: npt.NDArray[np.bool_]
    splits: Splits = USUAL
    sketch: Sketch | None = None
    tested_on: str = ""

    def same_images(self, other: Outcome) -> bool:
        """Tell whether both runs were tested on the same images."""
        return np.array_equal(self.ids, other.ids) and np.array_equal(self.labels, other.labels)

    def sharing(self, other: Outcome | None) -> Outcome:
        """Return it with the image arrays of a run of the same images: hundreds of runs then hold them once."""
        return self if other is None or not self.same_images(other) else replace(self, ids=other.ids, labels=other.labels)


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Hold what S runs of each of M methods got right among the same N test images.

    Args:
        runs: Split seed and seed of each run, S of them.
        correct: bool, shape (M, S, N).
        labels: True class of each image, int64, shape (N,).
        class_counts: Training images of each class, int64, shape (C,).
        splits: Where many, medium and few part.

    Raises:
        ValueError: If the shapes do not fit, or there is no method, run or image.
    """

    runs: tuple[Run, ...]
    correct: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.int64]
    class_counts: npt.NDArray[np.int64]
    splits: Splits = USUAL

    def __post_init__(self) -> None:
        if self.correct.ndim != 3 or self.correct.shape[1:] != (len(self.runs), len(self.labels)) or not self.correct.size:
            raise ValueError(f"correct must be of shape (M, {len(self.runs)}, {len(self.labels)}), got {self.correct.shape}")


def read_outcome(item: Stored) -> tuple[Outcome | None, list[Mismatch]]:
    """Read a run's predictions and recompute its record from them.

    Returns:
        What the run got right, None where it has no predictions; and each field that does not follow from them.

    Raises:
        UserError: If predictions are missing or damaged.
    """
    predictions = load_predictions(item.path, item.record)
    if predictions is None:
        return None, []
    counts, bounds, mismatches = item.record.split.class_counts, item.record.protocol.bounds, verify(item.record, predictions)
    outcome = Outcome(item.path, counts, predictions.ids, predictions.labels, predictions.argmax == predictions.labels, bounds,
                      None if mismatches else sketch(predictions, counts, bounds), predictions.tested_on())
    return outcome, mismatches


def believe(item: Stored) -> Outcome:
    """Return what a run got right, if its record follows from its predictions.

    Raises:
        UserError: If predictions are missing, damaged or not those of the record.
    """
    outcome, problems = read_outcome(item)
    if outcome is None:
        raise UserError(f"record {item.path} has no predictions")
    if problems:
        raise UserError(f"record {item.path}: {problems[0]}")
    return outcome


def stack(runs: Sequence[Run], rows: Sequence[Sequence[Outcome]]) -> Outcomes:
    """Bring the outcomes of M methods together.

    Args:
        runs: S of them.
        rows: For each method the outcomes of these runs, in their order.

    Raises:
        UserError: If there is none, or some are of other test images or class counts than the first.
    """
    every = [outcome for row in rows for outcome in row]
    if not every or not len(every[0].labels):
        raise UserError("a comparison must have at least one run with predictions, got none")
    first = every[0]
    for other in every:
        if not first.same_images(other):
            raise UserError(f"test images must be the same in all runs, got others in {other.path} than in {first.path}")
        if first.splits != other.splits:
            raise UserError(f"many, medium and few must be the same in all runs, got others in {other.path} than in {first.path}")
        if first.class_counts != other.class_counts:
            raise UserError(f"class counts must be the same in all runs, got others in {other.path} than in {first.path}")
    correct = np.stack([outcome.correct for outcome in every]).reshape(len(rows), len(runs), len(first.labels))
    return Outcomes(tuple(runs), correct, first.labels, np.asarray(first.class_counts, dtype=np.int64), first.splits)
