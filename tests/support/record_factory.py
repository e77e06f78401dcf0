"""Small records whose figures are worked out by hand, for the tests of records, tables and verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ltbench.results import records
from ltbench.results.accuracy import per_class_counts
from ltbench.results.metrics import standard_metrics
from ltbench.results.predictions import Predictions
from ltbench.results.schema import Record
from ltbench.terms.protocol import Protocol

# Four classes: one many (101), two medium (100, 20), one few (19); three test images each.
CLASS_COUNTS = [101, 100, 20, 19]
LABELS = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def predictions(*, right: tuple[int, int, int, int] = (3, 2, 1, 0)) -> Predictions:
    """Twelve predictions, ``right[k]`` of class k's three images right; confidence 0.5 and log-probability -1 everywhere."""
    labels = np.array(LABELS, dtype=np.int64)
    rank = np.tile(np.arange(3), 4)
    argmax = np.where(rank < np.repeat(right, 3), labels, (labels + 1) % 4)
    figures = np.full(12, 0.5, dtype=np.float32), np.full(12, -1, dtype=np.float32)
    return Predictions(np.arange(12, dtype=np.int64), labels, argmax, *figures)


def record(given: Predictions | None = None, **changes: Any) -> dict[str, Any]:
    """A completed record of ``given`` (or of :func:`predictions`); dotted changes are written with two underscores."""
    given = given or predictions()
    correct, total = per_class_counts(given, 4)
    value: dict[str, Any] = {
        "schema": 1,
        "expression": "ce",
        "expression_hash": "0123456789abcdef",
        "key": "f" * 8,
        "track": "common",
        "selection": "last",
        "stages": [{"expression": "ce", "key": "f" * 8, "inputs": "images", "methods": [
            {"name": "ce", "hyperparameters": {}, "distribution": "ltbench", "version": "0.1.0", "sources": {"ce.py": "aa"}},
        ]}],
        "task": {"dataset": "digits-lt", "imbalance_ratio": 20.0, "imbalance": "exp", "split_seed": 0, "seed": 0},
        "split": {"hash": "ab" * 32, "class_counts": CLASS_COUNTS, "test_counts": total.tolist()},
        "protocol": Protocol(name="quick", backbone="resnet20", epochs=16).as_dict(),
        "precision": "fp32",
        "external": None,
        "core": {"version": "0.1.0", "commit": None, "dirty": None},
        "status": "completed",
        "reason": None,
        "curve": [{"epoch": 1, "loss": 2.5}],
        "metrics": standard_metrics(given, CLASS_COUNTS),
        "per_class": {"correct": correct.tolist(), "total": total.tolist()},
        "predictions": {"file": "run.npz", "sha256": given.sha256()},
        "geometry": None,
        "timing": {"seconds": {"stage 1": 10.0, "evaluation": 2.5}, "peak_memory_bytes": {"stage 1": 1000}},
        "environment": {"torch": "2.11.0"},
    }
    for path, change in changes.items():
        *parents, last = path.split("__")
        inner = value
        for name in parents:
            inner = inner[name]
        inner[last] = change
    return value


def broken(status: str, **changes: Any) -> dict[str, Any]:
    """A record of a run that did not complete."""
    return record(status=status, reason="loss is NaN", metrics=None, per_class=None, predictions=None, **changes)


def model(given: Predictions | None = None, **changes: Any) -> Record:
    """The same as :func:`record`, as what is read from a file."""
    return Record.model_validate(record(given, **changes))


def write(value: dict[str, Any], given: Predictions | None, directory: Path, name: str,
          geometry: dict[str, Tensor] | None = None) -> Path:
    """Write a record, and what lies beside it."""
    return records.write(Record.model_validate(value), given, directory, name, geometry)


def stored(*values: dict[str, Any]) -> list[records.Stored]:
    """Records as if read from files a.json, b.json, ..."""
    return [records.Stored(Path(f"{chr(97 + i)}.json"), Record.model_validate(value)) for i, value in enumerate(values)]
