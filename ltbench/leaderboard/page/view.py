"""From a board's content to what the page shows: columns, cells as text, and the data of its figures, all of it plain text.

What the page embeds is a selection with fewer digits: a board of hundreds of rows must stay small enough to send by mail.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ltbench.leaderboard.export import read_estimate
from ltbench.leaderboard.page.printed import printed_of, telling
from ltbench.leaderboard.ranking import TIED
from ltbench.leaderboard.tables import COLUMNS, NOTHING, Heading, format_interval
from ltbench.results.accuracy import SPLITS
from ltbench.results.interval import Estimate
from ltbench.results.text import printable
from ltbench.terms.shots import USUAL, Splits, splits_of

_DIGITS = 6  # significant ones of embedded figures
_SHIFT = re.compile(r"label_shift\.(published|built)\.((?:for|back)ward)([\d.]+)\.accuracy")
_MEMORY_UNIT = 2**20
_COUNTED = {"parameters": 1e6, "trainable": 1e6, "relative": 1.0}  # what is counted once for all runs, and its unit
_BREAKS = re.compile(r"(?<=[/+(,])")  # where a long expression may go on in the next line


class Column(NamedTuple):
    """Hold a column that is sorted by a number.

    Args:
        key: In the embedded data.
        descending: Whether more is better, so that the first click puts the largest on top.
    """

    key: str
    label: str
    title: str
    decimals: int
    descending: bool


_TITLES = {
    "all": "accuracy in percent, mean over all classes",
    "many": "accuracy in percent over classes of more than {0} training images",
    "medium": "accuracy in percent over classes of {1} to {0} training images",
    "few": "accuracy in percent over classes of fewer than {1} training images",
    "worst tenth": "accuracy in percent over the tenth of the classes with the lowest accuracy",
    "harmonic mean": "harmonic mean of the classes' accuracies, in percent",
    "ECE": "expected calibration error, lower is better",
}


def view(content: Mapping[str, Any], headings: Sequence[Heading]) -> dict[str, Any]:
    """Return what the template renders; ``data`` within each table is what the scripts read.

    Args:
        content: As ``board.json`` holds it.
    """
    plain = _printable(content)
    tables = [_table(table, heading) for table, heading in zip(plain["tables"], headings, strict=True)]
    columns = {column.label: column.title for table in tables for column in (*table["measures"], *table["costs"])}
    return {"name": plain["name"], "title": plain["title"], "tolerance": f"{plain['tolerance']:g}", "tables": tables,
            "columns": columns}


def _table(table: Mapping[str, Any], heading: Heading) -> dict[str, Any]:
    bounds = splits_of(table["protocol"].get("splits", USUAL))
    measures, costs = list(_measures(table["rows"], bounds)), list(_costs(table["rows"]))
    reasons = {row["not_compared"] for row in table["rows"]}
    alone = reasons.pop() if len(reasons) == 1 and not table["not_ranked"] else None  # said once, and not in each row
    rows = [_row(row if alone is None else {**row, "not_compared": None}, found, measures, costs)
            for row, found in zip(table["rows"], table["reported"], strict=True)]
    shared = _printable({"heading": str(heading), **dataclasses.asdict(heading)})
    return {
        **shared,
        "not_ranked": table["not_ranked"],
        "remark": ". ".join(filter(None, (table.get("remark"), alone and f"Rows are not compared: {alone}"))),
        "ranked": not table["not_ranked"],
        "measures": measures,
        "costs": costs,
        "printed": any(table["reported"]),
        "noted": any(row["notes"] for row in rows),
        "tied": any(row["tied"] for row in rows),
        "rows": rows,
        "data": {
            **shared,
            "images": table["curve_images"],
            "names": table["curve_names"],
            "splits": bounds,
            "columns": [[column.key, column.label, column.decimals] for column in (*measures, *costs)],
            "rows": [row["data"] for row in rows],
        },
    }


def _measures(rows: Sequence[Mapping[str, Any]], bounds: Splits) -> Iterator[Column]:
    for label, key, decimals in COLUMNS:
        yield Column(key, label, _TITLES[label].format(*bounds), decimals, key != "ece")
    for way, key, ratio in _furthest_shifts(rows):
        yield Column(key, f"{way} {ratio}", f"accuracy in percent where the test set is long-tailed at ratio {ratio}, "
                     + ("as in training" if way == "forward" else "the other way round"), 1, True)


def _costs(rows: Sequence[Mapping[str, Any]]) -> Iterator[Column]:
    if any(row["cost"] for row in rows):
        yield Column("parameters", "parameters", "of backbone and head, in millions", 2, False)
        if any(row["external"] and (row["cost"] or {}).get("trainable") is not None for row in rows):
            yield Column("trainable", "trained", "parameters that a stage trained, in millions", 2, False)
        yield Column("relative", "inference", "operations of a prediction, over those of a linear classifier on the backbone", 2,
                     False)
    yield Column("seconds", "seconds", "of a run with all its stages; mean over runs", 1, False)
    if any(row["peak_memory_bytes"] for row in rows):
        yield Column("memory", "peak MiB", "most memory that a run took, where most was taken", 0, False)


def _furthest_shifts(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    found = {match for row in rows for name in row["metrics"] if (match := _SHIFT.fullmatch(name)) is not None}
    for way in ("forward", "backward"):
        of_way = [(float(match[3]), match[1], match[0], match[3]) for match in found if match[2] == way]
        if of_way:
            _, _, key, ratio = max(of_way)
            yield way, key, ratio


def _row(row: Mapping[str, Any], found: Sequence[Mapping[str, Any]], measures: Sequence[Column],
         costs: Sequence[Column]) -> dict[str, Any]:
    figures = {column.key: _figure(row, column.key) for column in (*measures, *costs)}
    notes = _notes(row)
    return {
        "parts": _BREAKS.split(row["method"]),
        "rank": NOTHING if row["rank"] is None else str(row["rank"]),
        "runs": len(row["completed"]),
        "measures": [_cell(figures[column.key], column.decimals) for column in measures],
        "costs": [_cell(figures[column.key], column.decimals) for column in costs],
        "printed": telling(found),
        "notes": notes,
        "tied": row["standing"] == TIED,
        "data": {
            "method": row["method"],
            "rank": row["rank"],
            "notes": notes,
            "count": len(row["completed"]),
            "standing": row["standing"],
            "values": {key: [_rounded(one.mean), *map(_rounded, one.interval or (None, None))]
                       for key, one in figures.items() if one.mean is not None},
            "shifts": {name[len("label_shift."):-len(".accuracy")]: _rounded(figure["mean"])
                       for name, figure in sorted(row["metrics"].items()) if _SHIFT.fullmatch(name)},
            "curve": row["curve"],
            "command": row["command"],
            "printed": [printed_of(claim) for claim in found],
            "runs": [[run["split_seed"], run["seed"], *(_rounded(run["accuracy"][split]) for split in SPLITS)]
                     for run in row["runs"]],
            "seconds": {phase: _rounded(value) for phase, value in row["seconds_by_phase"].items()},
            "memory": {place: _mebibytes(value) for place, value in row["peak_memory_bytes"].items()},
            "stages": [_stage(stage) for stage in row["stages"]],
            "made": row["made_by"],
        },
    }


def _figure(row: Mapping[str, Any], key: str) -> Estimate:
    """Return a figure; what is counted or timed has no interval."""
    runs = len(row["completed"])
    if key == "memory":
        known = [value for value in row["peak_memory_bytes"].values() if value is not None]
        return Estimate(_mebibytes(max(known)) if known else None, None, runs)
    if key == "seconds":
        return Estimate(row["seconds"]["mean"], None, runs)
    if key in _COUNTED:
        counted = (row["cost"] or {}).get(key)
        return Estimate(None if counted is None else counted / _COUNTED[key], None, runs)
    found = row["metrics"].get(key)
    return read_estimate(found) if found else Estimate(None, None, 0)


def _cell(figure: Estimate, decimals: int) -> tuple[str, str]:
    """Write a mean and, apart from it, its interval; an em dash where there is no figure."""
    return NOTHING if figure.mean is None else f"{figure.mean:.{decimals}f}", format_interval(figure, decimals)


def _notes(row: Mapping[str, Any]) -> str:
    notes = [row["tested"]] if "tested" in row else []
    notes += [f"not compared: {row['not_compared']}"] if row["not_compared"] and row["rank"] is not None else []
    notes += [f"{name}={_text(value)}" for name, value in row["overrides"].items()]
    notes += [f"external: {row['external']}"] if row["external"] is not None else []
    total = len(row["completed"]) + row["diverged"] + row["failed"]
    notes += [f"{row[status]} of {total} {status}" for status in ("diverged", "failed") if row[status]]
    return "; ".join(notes)


def _stage(stage: Mapping[str, Any]) -> list[str]:
    options = [f"{method['name']}.{name} = {_text(value)}" for method in stage["methods"]
               for name, value in sorted(method["hyperparameters"].items())]
    overrides = [f"{name} = {_text(value)} (declared by the method)" for name, value in sorted(stage["overrides"].items())]
    about = [f"{method['name']}: {method['about']}" for method in stage["methods"] if method["about"]]
    return [f"{stage['expression']}, on {_text(stage['inputs'])}", *about, *options, *overrides]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _mebibytes(value: float | None) -> float | None:
    return None if value is None else round(value / _MEMORY_UNIT, 1)


def _rounded(value: float | None) -> float | None:
    return value if value is None or not math.isfinite(value) else float(f"{value:.{_DIGITS}g}")


def _printable(value: Any) -> Any:
    """Return JSON with every text made printable: no control sign, no turned reading direction, no half of a character."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(name)): _printable(item) for name, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, (list, tuple)) else value
