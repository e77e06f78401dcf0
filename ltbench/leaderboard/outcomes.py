"""Which test images each run got right: what the statistics of a board are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ltbench.errors import UserError
from ltbench.results.predictions import Predictions
from ltbench.results.records import Record, Stored, load_predictions, verify

Run: TypeAlias = tuple[int, int]  # split seed and seed: what two methods must share for a difference to be paired


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Hold what S runs of each of M methods got right among the same N test images.

    Args:
        runs: Split seed and seed of each run, S of them.
        correct: bool, shape (M, S, N).
        labels: True class of each image, int64, shape (N,).
        class_counts: Training images of each class, int64, shape (C,).

    Raises:
        ValueError: If the shapes do not fit, or there is no method, run or image.
    """

    runs: tuple[Run, ...]
    correct: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.int64]
    class_counts: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.correct.ndim != 3 or self.correct.shape[1:] != (len(self.runs), len(self.labels)) or not self.correct.size:
            raise ValueError(f"correct must be of shape (M, {len(self.runs)}, {len(self.labels)}), got {self.correct.shape}")


def run_of(record: Record) -> Run:
    """Return a record's split seed and seed.

    Args:
        record: As read.
    """
    return record["task"]["split_seed"], record["task"]["seed"]


def name_runs(runs: Iterable[Run]) -> str:
    """Name runs for a person.

    Args:
        runs: Split seed and seed of each.
    """
    seeds: dict[int, list[str]] = {}
    for split_seed, seed in runs:
        seeds.setdefault(split_seed, []).append(str(seed))
    return "; ".join(f"seed{'s' if len(of) > 1 else ''} {', '.join(of)} of split seed {split}" for split, of in seeds.items())


def completed_runs(records: Iterable[Record], stored: Iterable[Stored]) -> dict[Run, Stored]:
    """Find the files of a row's completed records, in the order of their seeds.

    Args:
        records: Of one row, as :func:`ltbench.leaderboard.collect.collect` keeps them: without their paths.
        stored: What was collected; the records of the row are among these, the very objects.
    """
    files = {id(item.record): item for item in stored}
    return {run_of(record): files[id(record)] for record in sorted(records, key=run_of) if record["status"] == "completed"}


def load_outcomes(rows: Sequence[Mapping[Run, Stored]], runs: Sequence[Run]) -> Outcomes:
    """Read the predictions of every row's runs, and believe only those that their record follows from.

    Args:
        rows: The files of each method's runs.
        runs: Which of them; every row has them all.

    Raises:
        UserError: If predictions are missing, damaged or not those of their record, or are of other images than the first's.
    """
    first: tuple[Stored, Predictions] | None = None
    correct = []
    for row in rows:
        for run in runs:
            item = row[run]
            predictions = _believable(item)
            first = first or (item, predictions)
            _same_test(first, (item, predictions))
            correct.append(predictions.argmax == predictions.labels)
    if first is None or not len(first[1]):
        raise UserError("a comparison must have at least one run with predictions, got none")
    counts = np.asarray(first[0].record["split"]["class_counts"], dtype=np.int64)
    shape = (len(rows), len(runs), len(first[1]))
    return Outcomes(tuple(runs), np.stack(correct).reshape(shape), first[1].labels, counts)


def _believable(item: Stored) -> Predictions:
    predictions = load_predictions(item.path, item.record)
    if predictions is None:
        raise UserError(f"record {item.path} has no predictions")
    if problems := verify(item.record, predictions):
        raise UserError(f"record {item.path}: {problems[0]}")
    return predictions


def _same_test(first: tuple[Stored, Predictions], other: tuple[Stored, Predictions]) -> None:
    (one, ours), (two, theirs) = first, other
    if not (np.array_equal(ours.ids, theirs.ids) and np.array_equal(ours.labels, theirs.labels)):
        raise UserError(f"test images must be the same in all runs, got others in {two.path} than in {one.path}")
    if one.record["split"]["class_counts"] != two.record["split"]["class_counts"]:
        raise UserError(f"class counts must be the same in all runs, got others in {two.path} than in {one.path}")
