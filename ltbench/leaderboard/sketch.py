"""What a page draws of a row besides its means: where test images went, whether confidence can be believed, how it trained.

All of it is small: three groups of classes, 15 bins, and 30 moments of the training. Sums are exact, so that any machine finds
the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.results.calibration import BINS
from ltbench.results.predictions import Predictions
from ltbench.results.schema import Record
from ltbench.terms.shots import USUAL, Splits

GROUPS = ("many", "medium", "few")
_RIGHT = len(GROUPS)  # the fate of an image that got its own class
_MOMENTS = 30  # of the training, all stages together


@dataclass(frozen=True)
class Sketch:
    """Hold what the predictions of one run show.

    Args:
        fates: For each group of classes how many percent of its test images were predicted right, and how many as another class
            of many, medium and few training images; a mean over the group's classes, None for a group without test images.
        bins: Images, sum of their confidences, and how many are right, of each bin of confidence.
    """

    fates: tuple[tuple[float, ...] | None, ...]
    bins: tuple[tuple[int, float, int], ...]


def sketch(predictions: Predictions, class_counts: Sequence[int], splits: Splits = USUAL) -> Sketch:
    """Reduce predictions to what is drawn of them.

    Args:
        class_counts: Training images of each class, shape (C,).
        splits: Where many, medium and few part.
    """
    counts = np.asarray(class_counts, dtype=np.int64)
    group = np.where(counts > splits.many_above, 0, np.where(counts < splits.few_below, 2, 1))  # (C,)
    right = predictions.argmax == predictions.labels
    fate = np.where(right, _RIGHT, group[predictions.argmax])  # (N,)
    ends = _RIGHT + 1
    of_class = np.bincount(predictions.labels * ends + fate, minlength=len(counts) * ends).reshape(-1, ends)  # (C, 4)
    bins = []
    confidence = predictions.confidence.astype(np.float64)
    index = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)  # as the calibration error's
    for b in range(BINS):
        inside = index == b
        bins.append((int(inside.sum()), math.fsum(confidence[inside].tolist()), int(right[inside].sum())))
    return Sketch(tuple(_shares(of_class[group == place]) for place in range(len(GROUPS))), tuple(bins))


def row_sketch(sketches: Sequence[Sketch | None], records: Sequence[Record]) -> dict[str, Any]:
    """Return what is drawn of a row, a mean over its runs, as JSON types.

    Args:
        sketches: Of the completed runs; None for one without predictions.
    """
    known = [one for one in sketches if one is not None]
    return {"fates": _fates(known), "calibration": _calibration(known), "training": training(records)}


def training(records: Sequence[Record]) -> list[list[float | int | None]] | None:
    """Return moments of the training: stage, epoch over all stages, training accuracy in percent, and loss; means over the runs.

    What methods measure within an epoch has no part, nor do stages that do not train by epochs. None where nothing is known.
    """
    runs = [_epochs(record) for record in records]
    shared = [key for key in (runs[0] if runs else {}) if all(key in run for run in runs)]
    found = []
    for place in _spread(shared):
        rows = [run[place] for run in runs]
        accuracy, loss = (_mean([row[i] for row in rows]) for i in range(2))
        found.append([place[0], place[1], _rounded(accuracy, 1), _rounded(loss, 3)])
    return found or None


def _shares(of_class: npt.NDArray[np.int64]) -> tuple[float, ...] | None:
    """Average how the classes of a group fare: right, then taken for many, medium and few."""
    tested = [row for row in of_class.tolist() if sum(row)]
    if not tested:
        return None
    return tuple(100 * math.fsum(row[end] / sum(row) for row in tested) / len(tested) for end in (_RIGHT, 0, 1, 2))


def _fates(known: Sequence[Sketch]) -> dict[str, list[float]] | None:
    found = {}
    for place, name in enumerate(GROUPS):
        rows = [row for one in known if (row := one.fates[place]) is not None]
        if rows:
            found[name] = [round(math.fsum(values) / len(rows), 1) for values in zip(*rows, strict=True)]
    return found or None


def _calibration(known: Sequence[Sketch]) -> list[list[float]] | None:
    """Return mean confidence, accuracy in percent and share in percent of every bin that holds an image of any run."""
    found, images = [], sum(count for one in known for count, _, _ in one.bins)
    for bins in zip(*(one.bins for one in known), strict=True):
        count = sum(inside for inside, _, _ in bins)
        if count:
            confidence = math.fsum(total for _, total, _ in bins) / count
            found.append([round(confidence, 3), round(100 * sum(right for *_, right in bins) / count, 1),
                          round(100 * count / images, 2)])
    return found or None


def _epochs(record: Record) -> dict[tuple[int, int], tuple[float | None, float | None]]:
    """Return accuracy and loss at the end of each epoch, by stage and epoch over all stages."""
    found: dict[tuple[int, int], tuple[float | None, float | None]] = {}
    before, stage, last = 0, 1, 0
    for row in record.curve:
        if row.epoch and row.part is None and (row.loss is not None or row.train_accuracy is not None):
            if row.stage != stage:
                before, stage = before + last, row.stage
            last = row.epoch
            found[stage, before + last] = (row.train_accuracy, row.loss)
    return found


def _spread(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Thin out moments evenly; the first and the last of each stage stay."""
    step = -(-len(places) // _MOMENTS) or 1
    stages = [stage for stage, _ in places]
    ends = {i for i, stage in enumerate(stages) if stages[i - 1:i] != [stage] or stages[i + 1:i + 2] != [stage]}
    return [place for i, place in enumerate(places) if i % step == 0 or i in ends]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
