"""A record's run planned again with what is installed, and what has changed since the record was written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ltbench.data.base import Dataset
from ltbench.data.naming import dataset_of_record
from ltbench.errors import UserError
from ltbench.planning.matrix import Planned, find_weights, plan_matrix
from ltbench.planning.plan import RunPlan
from ltbench.planning.request import Request
from ltbench.registry import sources
from ltbench.registry.discovery import Registry
from ltbench.results.command import request_of
from ltbench.results.plain import plain
from ltbench.results.schema import Record
from ltbench.results.text import printable


@dataclass(frozen=True, eq=False)
class Replan:
    """Hold the plan of a record's run.

    Args:
        request: That asks for it.
        planned: The same with the datasets that it needs.
    """

    request: Request
    planned: Planned
    plan: RunPlan

    @property
    def dataset(self) -> Dataset:
        """The task's dataset."""
        return self.planned.datasets[self.plan.task.dataset]


def replan(record: Record, registry: Registry, weights: Path | None = None, root: Path | None = None) -> Replan:
    """Plan a record's run again; no image is read.

    Args:
        weights: The file of weights that the run stood on or started from, where the record names none.
        root: The folder of the data, for sets whose files alone tell their classes; None for ``LTBENCH_DATA``.

    Raises:
        UserError: If it cannot be planned, with the reason.
    """
    request = request_of(record, dataset_of_record(record.task.dataset, registry, root).protocols, weights)
    request = replace(request, how=replace(request.how, data_root=root))
    planned = plan_matrix(request, registry, find_weights(request), open_files=False)
    (plan,) = planned.plans
    if plan.external != record.external:
        raise UserError(f"its weights must have the sha256 {printable(str(record.external))[:64]}, got {plan.external!s:.64}")
    return Replan(request, planned, plan)


def changed_sources(record: Record, registry: Registry) -> Iterator[tuple[str, str]]:
    """Yield the place and the name of each source file that is not as it was when the record was written.

    Raises:
        UserError: If a method is not installed.
    """
    for number, stage in enumerate(record.stages):
        for position, method in enumerate(stage.methods):
            now = sources.source_hashes(registry.methods.get(method.name).load())
            for file in sorted(now.keys() | method.sources.keys()):
                if now.get(file) != method.sources.get(file):
                    yield f"stages[{number}].methods[{position}].sources", file


def changed_settings(record: Record, plan: RunPlan) -> Iterator[tuple[str, str]]:
    """Yield the place of each method or hyperparameter that the plan has otherwise than the record, and how.

    A hyperparameter that the record does not know is none of them: it came later, and its default is what there was before.
    """
    recorded = [[method.name for method in stage.methods] for stage in record.stages]
    if recorded != (planned := [[choice.method.name for choice in stage.choices] for stage in plan.stages]):
        yield "stages", f"must be of {_names(planned)} as the expression says, got {_names(recorded)}"
        return
    for number, (stage, planned_stage) in enumerate(zip(record.stages, plan.stages, strict=True)):
        for position, (method, choice) in enumerate(zip(stage.methods, planned_stage.choices, strict=True)):
            for name, value in method.hyperparameters.items():
                place = f"stages[{number}].methods[{position}].hyperparameters.{name}"
                if name not in choice.values:
                    yield place, f"must be one of {choice.method.name}'s, got an unknown one"
                elif plain(choice.values[name]) != value:
                    yield place, f"must be {plain(choice.values[name])!r} as the expression says, got {value!r:.60}"


def _names(stages: list[list[str]]) -> str:
    return "/".join("+".join(stage) for stage in stages)
