"""The logits of every test image, for those who want more of a model than its predictions: kept where they are asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ltbench.errors import UserError
from ltbench.results.npz import pack, reason, unpack
from ltbench.results.reading import lies_in
from ltbench.results.schema import LogitsFile
from ltbench.results.text import printable

if TYPE_CHECKING:
    from ltbench.results.predictions import Predictions
    from ltbench.results.schema import Record

Logits = npt.NDArray[np.float32]
_NAME = "logits"
_HEADER = 2**16  # bytes of a file beside its numbers, at most
_ROUNDING = 1e-4  # of float32 logarithms, relative to the largest logit above 1


def pack_logits(logits: Logits) -> bytes:
    """Return a file that holds logits, float32, shape (M, C), in the order of the predictions' ids."""
    return pack({_NAME: logits.astype("<f4")}, compress=False)


def entry_of(file: str, content: bytes) -> LogitsFile:
    """Return what a record says of the file of that name and content."""
    return LogitsFile(file=file, sha256=hashlib.sha256(content).hexdigest())


def load_logits(path: Path, record: Record) -> Logits | None:
    """Read the logits beside a record; None if it has none.

    Args:
        path: Of the record.

    Returns:
        Float32, in the order of the predictions' ids, shape (M, C).

    Raises:
        UserError: If the file is missing, damaged, of another shape, or not the one that the record names.
    """
    if record.logits is None:
        return None
    file = path.parent / record.logits.file
    shape = sum(record.split.test_counts), len(record.split.class_counts)
    limit = 4 * shape[0] * shape[1] + _HEADER
    try:
        if not lies_in(file, Path(os.path.realpath(path)).parent):
            raise ValueError("it must lie next to the record, got a link to another folder")
        logits = unpack(file, [_NAME], limit)[_NAME]
        if logits.dtype != np.dtype("<f4") or logits.shape != shape:
            raise ValueError(f"it must hold float32 of shape {shape}, got {logits.dtype} of shape {logits.shape}")
        if hashlib.sha256(pack_logits(logits)).hexdigest() != record.logits.sha256:
            raise ValueError("its hash is not the record's")
    except Exception as error:  # whatever damaged bytes do to readers
        raise UserError(printable(f"logits {file} cannot be read: {reason(error)}")) from None
    return logits


def contradictions(logits: Logits, predictions: Predictions) -> Iterator[tuple[str, int]]:
    """Yield which arrays of predictions do not follow from logits, and the first image where they do not.

    Args:
        logits: Shape (M, C).
        predictions: Of M images.
    """
    rows = np.arange(len(logits))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        values = logits.astype(np.float64)
        largest = values.max(axis=1)  # (M,)
        normalizer = largest + np.log(np.exp(values - largest[:, None]).sum(axis=1))
        room = _ROUNDING * np.maximum(1, np.abs(values).max(axis=1))
        right = {
            "argmax": largest - values[rows, predictions.argmax] <= room,
            "confidence": np.abs(np.log(predictions.confidence.astype(np.float64)) - (largest - normalizer)) <= room,
            "log_prob": np.abs(predictions.log_prob - (values[rows, predictions.labels] - normalizer)) <= room,
        }
    for name, holds in right.items():
        if not holds.all():
            yield name, int(predictions.ids[np.flatnonzero(~holds)[0]])
