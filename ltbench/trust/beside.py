"""What lies beside a record: predictions, from which every figure must follow, and tensors."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ltbench.errors import UserError
from ltbench.results import records
from ltbench.results.logits import contradictions, load_logits
from ltbench.results.reading import lies_in
from ltbench.results.schema import Record
from ltbench.trust.remark import Remark, error, warning

if TYPE_CHECKING:
    from ltbench.results.predictions import Predictions

_ROUNDING = 1e-4  # of float32 logarithms; a forged confidence is off by more


def read_predictions(path: Path, record: Record) -> tuple[Predictions | None, list[Remark]]:
    """Read a record's predictions and recompute its figures from them.

    Returns:
        The predictions, None where there are none to go on with, and what is wrong.
    """
    try:
        predictions = records.load_predictions(path, record) if record.status == "completed" else None
    except UserError as problem:
        return None, [error("predictions", str(problem).removeprefix("predictions "))]
    if predictions is None:
        return None, []
    found = [error(*mismatch) for mismatch in records.verify(record, predictions)]
    if not len(predictions):
        found.append(error("predictions", "must hold at least one image, got none"))
    elif not any(remark.field == "predictions" for remark in found):  # a label that is no class: nothing can be computed
        found += _probabilities(predictions, len(record.split.class_counts))
        found += _images(predictions, record)
    return predictions, found


def _probabilities(predictions: Predictions, num_classes: int) -> Iterator[Remark]:
    """Demand what holds for the largest of C probabilities and for that of the true class, whichever they are."""
    with np.errstate(divide="ignore"):
        largest = np.log(predictions.confidence.astype(np.float64))  # (N,)
    truth = predictions.log_prob.astype(np.float64)
    right = predictions.argmax == predictions.labels
    with np.errstate(invalid="ignore"):
        equal = np.abs(largest - truth) <= _ROUNDING
        room = predictions.confidence + np.exp(truth) <= 1 + _ROUNDING
    wrong = np.flatnonzero(np.where(right, ~equal, (truth > largest + _ROUNDING) | ~room))
    if len(wrong):
        first = predictions.ids[wrong[0]]
        yield error("predictions", f"confidence and log_prob of {len(wrong)} images contradict each other, first image {first}")
    low = np.flatnonzero(largest < -math.log(num_classes) - _ROUNDING)
    if len(low):
        first = predictions.ids[low[0]]
        lowest = predictions.confidence[low[0]]
        yield error("predictions", f"confidence must be at least 1/{num_classes}, got {lowest:g} for image {first}")


def _images(predictions: Predictions, record: Record) -> Iterator[Remark]:
    """Demand every position up to the last one, unless the protocol takes a few images a class."""
    if record.protocol.per_class is not None:
        return
    absent = int(predictions.ids[-1]) + 1 - len(predictions)
    if predictions.ids[0] < 0:
        yield error("predictions", f"ids must be >= 0, got {predictions.ids[0]}")
    elif absent:
        place = warning if record.split.unreadable else error  # images that nobody could open are named there
        yield place("predictions", f"{absent} test images are missing before the last one")


def check_logits(path: Path, record: Record, predictions: Predictions | None) -> Iterator[Remark]:
    """Yield what is wrong with the logits that a record keeps: its predictions must follow from them."""
    entry = record.logits
    if entry is None or predictions is None:
        return
    if not (path.parent / entry.file).exists():
        yield warning("logits", f"{entry.file} is not there")
        return
    try:
        logits = load_logits(path, record)
    except UserError as problem:
        yield error("logits", str(problem).removeprefix("logits "))
        return
    for name, first in contradictions(logits, predictions) if logits is not None else ():
        yield error(f"predictions.{name}", f"does not follow from {entry.file}, first image {first}")


def check_geometry(path: Path, record: Record) -> Iterator[Remark]:
    """Yield what is wrong with the tensors that a record keeps."""
    entry = record.geometry
    if entry is None:
        return
    file = path.parent / entry.file
    if not file.exists():
        yield warning("geometry", f"{entry.file} is not there: the figures of plugins cannot be computed again")
    elif not lies_in(file, Path(os.path.realpath(path)).parent) or not file.is_file():
        yield error("geometry", f"{entry.file} must be a file next to the record")
    else:
        try:
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as problem:
            yield error("geometry", f"{entry.file} cannot be read: {problem.strerror}")
        else:
            if digest != entry.sha256:
                yield error("geometry.sha256", f"does not follow from {entry.file}")
