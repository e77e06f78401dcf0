"""What a reader wants to know of a table's row beyond its means: the curve over classes, each run, costs, where it came from."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ltbench.errors import UserError
from ltbench.leaderboard.collect import Row, Table
from ltbench.leaderboard.ranking import Standing
from ltbench.leaderboard.reported import SPLITS
from ltbench.results.command import arguments_of, request_of
from ltbench.results.records import Record

MAX_PLACES = 100  # of a curve; more classes are averaged in groups of neighbors


def curve_images(table: Table) -> list[float] | None:
    """Return the training images of each place of the table's curves, most first; None if no run completed.

    Up to :data:`MAX_PLACES` classes have a place each. More share them: a place is then the mean of neighboring classes.

    Args:
        table: As collected.
    """
    record = next((record for row in table.rows for record in row.completed), None)
    if record is None:
        return None
    counts = sorted(record["split"]["class_counts"], reverse=True)
    return [round(math.fsum(group) / len(group), 2) for group in _groups(counts)]


def row_details(row: Row, standing: Standing) -> dict[str, Any]:
    """Return what a row's records say beyond its metrics, as JSON types.

    Args:
        row: As collected.
        standing: What the statistics say of it.
    """
    records = row.completed
    return {
        "runs": [{"seed": record["task"]["seed"], "split_seed": record["task"]["split_seed"],
                  "accuracy": {split: record["metrics"]["accuracy"].get(split) for split in SPLITS}} for record in records],
        "curve": _mean_curve(records),
        "seconds_by_phase": _over_runs(records, "seconds", lambda values: math.fsum(values) / len(values)),
        "peak_memory_bytes": _over_runs(records, "peak_memory_bytes", max),
        "cost": records[0].get("cost") if records else None,
        "stages": [_stage(stage) for stage in records[0]["stages"]] if records else [],
        "made_by": {**_provenance(records), "selection": _distinct(record["selection"] for record in records),
                    "tuning": [f"{row.tuning_trials} trials{' of ' if row.tuned else ''}{', '.join(row.tuned)}"]},
        "command": command(records),
        "tied_with_best": None if standing.left_out else standing.best,
        "rank_interval": None if standing.ranks is None else list(standing.ranks),
        "not_compared": standing.left_out,
    }


def command(records: Sequence[Record]) -> str | None:
    """Return the shell command that makes a row's runs again; None where a record alone does not say it.

    Args:
        records: Of the row, in the order of their seeds.
    """
    if not records:
        return None
    seeds, split_seeds = (tuple(sorted({record["task"][field] for record in records})) for field in ("seed", "split_seed"))
    try:
        request = request_of(records[0])
        words = arguments_of(replace(request, what=replace(request.what, seeds=seeds, split_seeds=split_seeds)))
    except UserError:
        return None
    tuning = records[0].get("tuning")
    return shlex.join(["ltbench", *(["run", *words] if tuning is None else _tune(tuning, records[0], words[2:]))])


def _tune(tuning: dict[str, Any], record: Record, words: list[str]) -> list[str]:
    """Return the command that also tunes, with the other arguments of the run."""
    budget, seed = tuning["budget"], str(tuning["sampler"]["seed"])
    trial = [] if budget["protocol"] == record["protocol"] else ["--trial-protocol", budget["protocol"]["name"]]
    return ["tune", tuning["expression"], "--trials", str(budget["trials"]), "--seed", seed, *trial, *words]


def _mean_curve(records: Sequence[Record]) -> list[float | None] | None:
    """Average the accuracy at each place over runs; a place without test images has none."""
    curves = [_curve(record) for record in records]
    if not curves:
        return None
    return [None if None in values else round(math.fsum(values) / len(values), 2)
            for values in zip(*curves, strict=True)]


def _curve(record: Record) -> list[float | None]:
    counts, hits, totals = record["split"]["class_counts"], record["per_class"]["correct"], record["per_class"]["total"]
    order = sorted(range(len(counts)), key=lambda label: (-counts[label], label))
    accuracy = [100 * hits[label] / totals[label] if totals[label] else None for label in order]
    known = [[value for value in group if value is not None] for group in _groups(accuracy)]
    return [math.fsum(group) / len(group) if group else None for group in known]


def _groups(values: Sequence[Any]) -> list[Sequence[Any]]:
    places = min(len(values), MAX_PLACES)
    bounds = [place * len(values) // places for place in range(places + 1)]
    return [values[start:end] for start, end in zip(bounds, bounds[1:], strict=False)]


def _over_runs(records: Sequence[Record], field: str, combine: Callable[[list[float]], float]) -> dict[str, float | None]:
    """Combine each named figure over runs; a figure that one of them lacks has none."""
    names = sorted({name for record in records for name in record["timing"][field]})
    columns = {name: [record["timing"][field].get(name) for record in records] for name in names}
    return {name: None if None in values else combine(values) for name, values in columns.items()}


def _stage(stage: dict[str, Any]) -> dict[str, Any]:
    methods = [{"name": method["name"], "hyperparameters": method["hyperparameters"], "about": _about(method)}
               for method in stage["methods"]]
    return {"expression": stage["expression"], "inputs": stage["inputs"], "methods": methods,
            "overrides": stage.get("protocol_overrides", {})}


def _about(method: dict[str, Any]) -> str:
    """Say in one line what a method does, and whose it is; nothing where the record is of before records said so."""
    summary, paper = (method.get(name) or "" for name in ("summary", "paper"))
    return f"{summary} ({paper})" if summary and paper else str(summary or paper)


def _provenance(records: Sequence[Record]) -> dict[str, list[str]]:
    methods = [method for record in records for stage in record["stages"] for method in stage["methods"]]
    return {
        "commits": _distinct(record["core"]["commit"] for record in records),
        "ltbench": _distinct(record["core"]["version"] for record in records),
        "plugins": _distinct(" ".join(str(method[name]) for name in ("distribution", "version") if method[name])
                             for method in methods),
        "devices": _distinct(record["environment"].get("device") for record in records),
    }


def _distinct(values: Iterable[Any]) -> list[str]:
    return sorted({value for value in values if isinstance(value, str) and value})
