"""What travels with a model: which run it is, what its classes are called, and how it wants its images."""

from __future__ import annotations

from typing import Any

from ltbench.trained.images import window_of
from ltbench.trained.recall import Trained
from ltbench.version import __version__


def describe(trained: Trained) -> dict[str, Any]:
    """Return a model's card: plain values, without any path of a machine."""
    record, dataset = trained.record, trained.data.dataset
    resized, side = window_of(trained.data)
    return {
        "ltbench": __version__,
        "methods": record.expression,
        "dataset": str(trained.plan.task),
        "seed": record.task.seed,
        "backbone": trained.plan.stages[0].protocol.backbone,
        "key": record.key,
        "accuracy": None if record.metrics is None else record.metrics.accuracy.all,
        "precision": record.precision,
        "classes": list(trained.class_names),
        "preprocessing": {
            "colors": "gray" if dataset.channels == 1 else "RGB",
            "shorter_side": resized,
            "crop": dataset.crop_mode,
            "size": [side, side],
            "interpolation": dataset.interpolation,
            "antialias": True,
            "scale": "divide by 255",
            "mean": list(dataset.mean),
            "std": list(dataset.std),
        },
        "mirrored": trained.flip,
    }
