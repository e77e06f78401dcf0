"""What a record says of a run before anything has happened."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator

from ltbench.data.task_data import TaskData
from ltbench.planning.plan import RunPlan, StagePlan
from ltbench.registry import sources
from ltbench.results.schema import SCHEMA
from ltbench.running import environment
from ltbench.training.optimization import terms

Record = dict[str, Any]


def describe(plan: RunPlan, data: TaskData, accelerator: Accelerator, accumulation: int, *, compiles: bool = False,
             sync_batch_norm: bool = False) -> Record:
    """Return the record of a run that has failed so far; what comes out is filled in as it comes.

    Args:
        plan: Of the run.
        data: Of its task.
        accelerator: Of the process.
        accumulation: Parts that each process splits its share of a global batch into.
        compiles: Whether training steps are compiled.
        sync_batch_norm: Whether batch norm looks at the images of all processes.
    """
    task = asdict(plan.task)
    track, _ = task.pop("track"), task.pop("protocol")
    test_labels = data.parts.test.labels[data.test_indices].numpy()
    batch = terms(plan.protocol, 1).batch_size
    return {
        "schema": SCHEMA,
        "expression": str(plan.expression),
        "expression_hash": plan.expression.hash,
        "key": plan.key,
        "track": track,
        "paper": plan.paper,
        "selection": "last",
        "tuning_trials": len(plan.tuning["trials"]) if plan.tuning else 0,
        **({"tuning": plan.tuning} if plan.tuning else {}),
        "task": task,
        "split": {"hash": data.split.hash, "class_counts": data.class_counts.tolist(),
                  "test_counts": np.bincount(test_labels, minlength=data.dataset.num_classes).tolist(),
                  **({"images": data.dataset.images} if data.dataset.images else {}),
                  **({"unreadable": data.unreadable} if data.unreadable else {})},
        "protocol": plan.protocol.as_dict(),
        "precision": plan.precision,
        "external": plan.external,
        "pretraining": plan.pretraining or _own_first_stage(plan.external),
        "stages": [_describe_stage(stage) for stage in plan.stages],
        "core": sources.core_version(),
        "status": "failed",
        "reason": None,
        "curve": [],
        "metrics": None,
        "per_class": None,
        "cost": None,
        "predictions": None,
        "timing": {"seconds": {}, "reused": {}, "peak_memory_bytes": {}},
        "environment": environment.describe(accelerator, batch, accumulation, compiles=compiles,
                                            sync_batch_norm=sync_batch_norm),
    }


def _own_first_stage(external: str | None) -> Record | None:
    return None if external is None else {"kind": "stage1", "source": "file", "sha256": external}


def _describe_stage(stage: StagePlan) -> Record:
    return {
        "expression": stage.text,
        "key": stage.key,
        "inputs": "none" if not stage.trial.trains else stage.trial.inputs,
        "protocol": stage.protocol.as_dict(),
        "protocol_overrides": dict(stage.overrides),
        "methods": [{"name": choice.method.name, "hyperparameters": dict(choice.values),
                     "distribution": choice.entry.distribution, "version": choice.entry.version,
                     "summary": choice.entry.spec.summary, "paper": choice.entry.spec.paper,
                     "sources": sources.source_hashes(choice.method)} for choice in stage.choices],
    }


def without_paths(text: str, folders: Sequence[Path]) -> str:
    """Leave out the folders of this run, and of other absolute paths all but the last part: a record speaks of no machine.

    Args:
        text: Of an error.
        folders: Of this run.
    """
    for folder in folders:
        for written in (str(folder), repr(str(folder))[1:-1]):  # as an error shows a name that is no text
            text = text.replace(f"{written}{os.sep}", "")
    return re.sub(r"(?<![\w.~)])(?:[A-Za-z]:)?(?:[/\\][^\s'\":;,()/\\]+)*[/\\]([^\s'\":;,()/\\]+)", r"\1", text)
