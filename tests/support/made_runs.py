"""Small made-up runs, on disk as a real run leaves them, for the tests of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ltbench_analysis.runs import Run, read_runs
from tests.support import record_factory

COUNTS = torch.tensor(record_factory.CLASS_COUNTS)  # 101, 100, 20, 19: one many class, two medium, one few


def layer(stage: int = 1, *, means: Tensor | None = None, variance: Tensor | None = None, **head: Tensor) -> dict[str, Tensor]:
    """Return the tensors of a stage with four classes; ``head`` is by the name within the classifier."""
    made = {"class_counts": COUNTS, "class_means": torch.eye(4) if means is None else means,
            "class_variance": torch.ones(4) if variance is None else variance}
    made |= {f"head.classifier.{name}": value for name, value in head.items()}
    return {f"stage{stage}.{name}": value for name, value in made.items()}


def stage_of(name: str, **hyperparameters: Any) -> dict[str, Any]:
    """Return what a record says of a stage of one method."""
    method = {"name": name, "hyperparameters": hyperparameters, "distribution": "ltbench", "version": "0.1.0", "sources": {}}
    return {"expression": name, "key": "k", "inputs": "images", "methods": [method]}


def write(folder: Path, name: str, tensors: Mapping[str, Tensor] | None = None, *,
          right: tuple[int, int, int, int] = (3, 2, 1, 0), **changes: Any) -> Path:
    """Write one completed run; ``right`` are the hits of each class out of three."""
    given = record_factory.predictions(right=right)
    return record_factory.write(record_factory.record(given, **changes), given, folder, name, tensors)


def runs(*paths: Path) -> list[Run]:
    """Read them."""
    return read_runs(paths)


def curve(stage: int = 1, **figures: Sequence[float]) -> list[dict[str, Any]]:
    """Return a training curve from epoch 0 on."""
    length = len(next(iter(figures.values())))
    return [{"stage": stage, "epoch": epoch, "epochs": length - 1, **{name: values[epoch] for name, values in figures.items()}}
            for epoch in range(length)]
