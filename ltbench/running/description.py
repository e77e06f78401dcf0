"""What a record says of a run before anything has happened."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from ltbench.data.task_data import TaskData
from ltbench.planning.plan import RunPlan, StagePlan
from ltbench.registry import sources
from ltbench.results.class_names import class_names
from ltbench.results.plain import plain
from ltbench.results.schema import (
    SCHEMA,
    Pretraining,
    Record,
    RecordedMethod,
    RecordedSplit,
    RecordedStage,
    RecordedTask,
    Timing,
    Unreadable,
)
from ltbench.running import environment
from ltbench.training.optimization import terms


def describe(plan: RunPlan, data: TaskData, accelerator: Accelerator, accumulation: int, *, compiles: bool = False,
             sync_batch_norm: bool = False) -> Record:
    """Return the record of a run that has failed so far; what comes out is filled in as it comes.

    Args:
        plan: What is run.
        data: Images of its task.
        accelerator: Knows device and processes.
        accumulation: Parts that each process splits its share of a global batch into.
        compiles: Whether training steps are compiled.
        sync_batch_norm: Whether batch norm looks at the images of all processes.
    """
    batch = terms(plan.protocol, 1).batch_size
    return Record.model_validate({
        "schema": SCHEMA,
        "expression": str(plan.expression),
        **({"typed": plan.typed} if plan.typed not in ("", str(plan.expression)) else {}),
        "expression_hash": plan.expression.hash,
        "key": plan.key,
        "track": plan.task.track,
        "paper": plan.paper,
        "selection": "last",
        "tuning_trials": len(plan.tuning["trials"]) if plan.tuning else 0,
        **({"tuning": plain(plan.tuning)} if plan.tuning else {}),
        "task": RecordedTask(dataset=plan.task.dataset, imbalance_ratio=plan.task.imbalance_ratio, imbalance=plan.task.imbalance,
                             split_seed=plan.task.split_seed, seed=plan.task.seed),
        "split": _describe_split(data),
        "protocol": plan.protocol.as_dict(),
        "precision": plan.precision,
        "external": plan.external,
        "pretraining": plain(plan.pretraining) if plan.pretraining else _own_first_stage(plan.external),
        "stages": [_describe_stage(stage) for stage in plan.stages],
        "core": sources.core_version(),
        "status": "failed",
        "reason": None,
        "curve": [],
        "metrics": None,
        "per_class": None,
        "cost": None,
        "predictions": None,
        "timing": Timing(seconds={}, reused={}, peak_memory_bytes={}),
        "environment": environment.describe(accelerator, batch, accumulation, compiles=compiles, sync_batch_norm=sync_batch_norm),
    })


def _describe_split(data: TaskData) -> RecordedSplit:
    test_labels = data.parts.test.labels[data.test_indices].numpy()
    split = RecordedSplit(hash=data.split.hash, class_counts=data.class_counts.tolist(),
                          test_counts=np.bincount(test_labels, minlength=data.dataset.num_classes).tolist())
    if names := class_names(data.dataset, data.parts.train):
        split.class_names = names
    if data.dataset.images:
        split.images = data.dataset.images
    if data.held_out is not None:
        split.held_out = data.held_out.class_counts.tolist()
    if data.unreadable:
        split.unreadable = Unreadable.model_validate(dict(data.unreadable))
    return split


def _own_first_stage(external: str | None) -> Pretraining | None:
    return None if external is None else Pretraining(kind="stage1", source="file", sha256=external)


def _describe_stage(stage: StagePlan) -> RecordedStage:
    return RecordedStage(
        expression=stage.text,
        key=stage.key,
        inputs="none" if not stage.trial.trains else stage.trial.inputs,
        protocol=stage.protocol.as_dict(),
        protocol_overrides=plain(stage.overrides),
        methods=[RecordedMethod(
            name=choice.method.name, hyperparameters=plain(choice.values), distribution=choice.entry.distribution,
            version=choice.entry.version, summary=choice.entry.spec.summary, paper=choice.entry.spec.paper,
            sources=sources.source_hashes(choice.method)) for choice in stage.choices],
    )


def without_paths(text: str, folders: Sequence[Path]) -> str:
    """Leave out the folders of this run, and of other absolute paths all but the last part: a record speaks of no machine."""
    for folder in folders:
        for written in (str(folder), repr(str(folder))[1:-1]):  # as an error shows a name that is no text
            text = text.replace(f"{written}{os.sep}", "")
    return re.sub(r"(?<![\w.~)])(?:[A-Za-z]:)?(?:[/\\][^\s'\":;,()/\\]+)*[/\\]([^\s'\":;,()/\\]+)", r"\1", text)
