"""What a reader wants to know of a table's row beyond its means: the curve over classes, each run, costs, where it came from."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ltbench.errors import UserError
from ltbench.leaderboard.ranking import Standing
from ltbench.leaderboard.rows import Row, Table
from ltbench.results.accuracy import SPLITS
from ltbench.results.class_names import Named
from ltbench.results.command import arguments_of, request_of
from ltbench.results.schema import PerClass, Record, RecordedMethod, RecordedStage, Tuning

MAX_PLACES = 100  # of a curve; more classes are averaged in groups of neighbors


def curve_images(table: Table) -> list[float] | None:
    """Return the training images of each place of the table's curves, most first; None if no run completed.

    Up to :data:`MAX_PLACES` classes have a place each. More share them: a place is then the mean of neighboring classes.
    """
    record = _first(table)
    if record is None:
        return None
    counts = sorted(record.split.class_counts, reverse=True)
    return [round(_mean(group), 2) for group in _groups(counts)]


def curve_names(table: Table, named: Named) -> list[str] | None:
    """Return what the class at each place of the table's curves is called; None where places are shared, or nobody knows."""
    record = _first(table)
    names = None if record is None else named(record)
    if record is None or names is None or len(names) > MAX_PLACES:
        return None
    return [names[label] for label in _falling(record.split.class_counts)]


def _first(table: Table) -> Record | None:
    return next((record for row in table.rows for record in row.records), None)


def _falling(counts: Sequence[int]) -> list[int]:
    return sorted(range(len(counts)), key=lambda label: (-counts[label], label))


def row_details(row: Row, standing: Standing) -> dict[str, Any]:
    """Return what a row's records say beyond its metrics, as JSON types."""
    records = row.records
    return {
        "runs": [_run(record) for record in records],
        "curve": _mean_curve(records),
        "seconds_by_phase": _over_runs([record.timing.seconds for record in records], _mean),
        "peak_memory_bytes": _over_runs([record.timing.peak_memory_bytes for record in records], max),
        "cost": records[0].cost.as_dict() if records and records[0].cost else None,
        "stages": [_stage(stage) for stage in records[0].stages] if records else [],
        "made_by": {**_provenance(records), "selection": _distinct(record.selection for record in records),
                    "tuning": [f"{row.tuning_trials} trials{' of ' if row.tuned else ''}{', '.join(row.tuned)}"]},
        "command": command(records),
        "standing": str(standing),
        "rank_interval": None if standing.ranks is None else list(standing.ranks),
    }


def command(records: Sequence[Record]) -> str | None:
    """Return the shell command that makes a row's runs again; None where a record alone does not say it."""
    if not records:
        return None
    seeds = tuple(sorted({record.task.seed for record in records}))
    split_seeds = tuple(sorted({record.task.split_seed for record in records}))
    try:
        request = request_of(records[0])
        words = arguments_of(replace(request, what=replace(request.what, seeds=seeds, split_seeds=split_seeds)))
    except UserError:
        return None
    verb = ["run", *words] if (tuning := records[0].tuning) is None else _tune(tuning, records[0], words[2:])
    return shlex.join(["ltbench", *verb])


def _tune(tuning: Tuning, record: Record, words: list[str]) -> list[str]:
    """Return the command that also tunes, with the other arguments of the run."""
    budget, seed = tuning.budget, str(tuning.sampler.seed)
    trial = [] if budget.protocol == record.protocol else ["--trial-protocol", budget.protocol.name]
    return ["tune", tuning.expression, "--trials", str(budget.trials), "--seed", seed, *trial, *words]


def _mean_curve(records: Sequence[Record]) -> list[float | None] | None:
    """Average the accuracy at each place over runs; a place without test images has none."""
    curves = [_curve(record.split.class_counts, record.per_class) for record in records if record.per_class]
    if not curves:
        return None
    return [None if None in values else round(_mean(values), 2) for values in zip(*curves, strict=True)]


def _curve(counts: Sequence[int], tested: PerClass) -> list[float | None]:
    accuracy = [100 * tested.correct[label] / tested.total[label] if tested.total[label] else None for label in _falling(counts)]
    known = [[value for value in group if value is not None] for group in _groups(accuracy)]
    return [_mean(group) if group else None for group in known]


def _groups(values: Sequence[Any]) -> list[Sequence[Any]]:
    places = min(len(values), MAX_PLACES)
    bounds = [place * len(values) // places for place in range(places + 1)]
    return [values[start:end] for start, end in zip(bounds, bounds[1:], strict=False)]


def _over_runs(figures: Sequence[Mapping[str, float | None]], combine: Callable[[list[float]], float]) -> dict[str, float | None]:
    """Combine each named figure over runs; a figure that one of them lacks has none."""
    combined: dict[str, float | None] = {}
    for name in sorted({name for of_run in figures for name in of_run}):
        values = [value for of_run in figures if (value := of_run.get(name)) is not None]
        combined[name] = combine(values) if len(values) == len(figures) else None
    return combined


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _run(record: Record) -> dict[str, Any]:
    assert record.metrics is not None  # it completed
    return {"seed": record.task.seed, "split_seed": record.task.split_seed,
            "accuracy": {split: getattr(record.metrics.accuracy, split) for split in SPLITS}}


def _stage(stage: RecordedStage) -> dict[str, Any]:
    methods = [{"name": method.name, "hyperparameters": method.hyperparameters, "about": _about(method)}
               for method in stage.methods]
    return {"expression": stage.expression, "inputs": stage.inputs, "methods": methods, "overrides": stage.protocol_overrides}


def _about(method: RecordedMethod) -> str:
    """Say in one line what a method does, and whose it is; nothing where the record is of before records said so."""
    if method.summary and method.paper:
        return f"{method.summary} ({method.paper})"
    return method.summary or method.paper or ""


def _provenance(records: Sequence[Record]) -> dict[str, list[str]]:
    methods = [method for record in records for stage in record.stages for method in stage.methods]
    return {
        "commits": _distinct(record.core.commit for record in records),
        "ltbench": _distinct(record.core.version for record in records),
        "plugins": _distinct(" ".join(filter(None, (method.distribution, method.version))) for method in methods),
        "devices": _distinct(record.environment.device for record in records),
    }


def _distinct(values: Iterable[str | None]) -> list[str]:
    return sorted({value for value in values if value})
