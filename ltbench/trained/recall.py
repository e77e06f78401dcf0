"""From a record to the model that it speaks of: planned again, and read from the store of stages. Nothing is trained."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from accelerate import Accelerator

from ltbench.data.naming import open_dataset
from ltbench.data.task_data import TaskData
from ltbench.errors import UserError
from ltbench.planning.matrix import plan_request
from ltbench.planning.plan import RunPlan, StagePlan
from ltbench.planning.request import How
from ltbench.results import records
from ltbench.results.command import arguments_of, plugins_hint, request_of
from ltbench.results.schema import Record
from ltbench.results.text import printable
from ltbench.running.setup import make_runner
from ltbench.training.engine import Engine
from ltbench.training.files import check_tensors
from ltbench.training.stages import Stage
from ltbench.training.store import ENGINE

if TYPE_CHECKING:
    from ltbench.registry.discovery import Registry
    from ltbench.running.runner import Runner


@dataclass(frozen=True, eq=False)
class Trained:
    """Hold a trained model.

    Args:
        path: Of the record.
        engine: Of the last stage, in evaluation mode.
        data: That it was trained on.
    """

    path: Path
    record: Record
    plan: RunPlan
    engine: Engine
    data: TaskData
    accelerator: Accelerator

    @property
    def class_names(self) -> Sequence[str]:
        """What the classes are called: as the record says, which may know more than the dataset, or else as the data does."""
        return self.record.split.class_names or self.data.class_names

    @property
    def flip(self) -> bool:
        """Whether probabilities are averaged over an image and its mirror image."""
        return self.plan.stages[-1].protocol.eval_flip


def recall(path: Path, registry: Registry, how: How, *, dataset: str | None = None, weights: Path | None = None) -> Trained:
    """Return the model of a record.

    Args:
        path: Of the record.
        how: Where data and stages are, and the user's own first stage if the run had one.
        dataset: As typed, for a record of somebody's own images.
        weights: The file of weights that the run stood on or started from, if they came from a file.

    Raises:
        UserError: If the run did not complete, cannot be planned again, or a stage of it is not in the store any more.
    """
    record = records.read(path)
    if record.status != "completed":
        raise UserError(f"record {path} must be of a run that completed, got one that {record.status}")
    family, own, _ = record.task.dataset.partition(":")
    if own and dataset is None and registry.dataset(record.task.dataset)[0].spec.source == "local":
        raise UserError(f"record {path} is of {record.task.dataset}, and does not say where those images are: add --dataset "
                        f"{family}:PATH")
    came = record.pretraining
    if record.external is not None and how.stage1 is None and (came is None or came.kind == "stage1"):
        raise UserError(f"the first stage of record {path} came from elsewhere: say where it is with --stage1")
    try:
        described, _ = open_dataset(dataset or record.task.dataset, registry, root=how.data_root)
        if described.name != record.task.dataset:
            raise UserError(f"--dataset must be {record.task.dataset}, got {described.name}")
        request = request_of(record, described.protocols, weights, dataset=dataset, how=how)
        planned = plan_request(request, registry)
    except UserError as problem:
        hint = plugins_hint(record, registry.files)
        raise UserError(printable(f"the model of record {path} cannot be built again{hint}: {problem}")) from None
    (plan,) = planned.plans
    runner = make_runner(request, registry, planned)
    data = runner.data.of(plan)
    if data.split.hash != record.split.hash:
        raise UserError(f"the images of {record.task.dataset} must be those that record {path} was trained on, got others")
    plan = plan.on(data.fingerprint)
    if plan.external != record.external:
        raise UserError(f"the first stage of record {path} must have the sha256 {str(record.external)[:12]}..., got "
                        f"{str(plan.external)[:12]}...")
    if plan.key != record.key:
        print("warning: its methods, or the code below them, have changed since: predictions may differ", file=sys.stderr)
    engine = _last(runner, _as_recorded(plan.stages, record), plan.task.seed, data,
                   _way_back(path, ["ltbench", "run", *arguments_of(request)], runner, named=dataset is None
                             and record.external is None))
    return Trained(path, record, plan, engine, data, runner.accelerator)


def _as_recorded(stages: Sequence[StagePlan], record: Record) -> list[StagePlan]:
    """Return stages with the keys under which they were kept: code that has changed since would look for others."""
    found: list[StagePlan] = []
    if len(stages) != len(record.stages):
        raise UserError(f"its expression {record.expression!r} must have {len(record.stages)} stages, got {len(stages)}")
    for stage, recorded in zip(stages, record.stages, strict=True):
        found.append(replace(stage, key=recorded.key, previous=found[-1] if found else None))
    return found


def _last(runner: Runner, stages: Sequence[StagePlan], seed: int, data: TaskData, way_back: str) -> Engine:
    """Read all stages, and return the last one's engine."""
    obtained: Stage | None = None
    for part in stages:
        kept = not (part.number == 1 and runner.stages.given) and not (obtained and part.trial.evaluation_only)
        if kept and not runner.stages.store.has(part.key):
            raise UserError(f"stage {part.number} ({part.text}) is not in {runner.stages.store.root.parent}; {way_back}")
        if kept:
            check_tensors(runner.stages.store.path(part.key) / ENGINE)
        try:
            obtained = runner.stages.obtain(part, seed, data, obtained)
        except RuntimeError as problem:  # its tensors have other names or shapes than those of the code that is installed now
            raise UserError(f"stage {part.number} ({part.text}) does not fit the code that is installed now "
                            f"({str(problem).splitlines()[0]}); {way_back}") from None
    assert obtained is not None  # an expression has a stage
    return obtained.engine


def _way_back(path: Path, command: Sequence[str], runner: Runner, *, named: bool) -> str:
    """Say how to get a stage back that is gone.

    Args:
        command: That runs the record's run again.
        named: Whether the record alone says what was run.
    """
    cache = str(runner.stages.store.root.parent)
    words = ["ltbench", "reproduce", str(path)] if named else [*command, "--out", "reproduced"]
    return f"train it again: {shlex.join([*words, '--cache', cache])}, then name the record in reproduced"
