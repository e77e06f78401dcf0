"""Tables for programs: JSON with everything, CSV with one line a row; numbers in full precision."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ltbench.leaderboard.rows import Row, Table
from ltbench.results.interval import Estimate
from ltbench.results.text import escape_spreadsheet, printable

_CSV_METRICS = (
    *("accuracy.all", "accuracy.many", "accuracy.medium", "accuracy.few"),
    *("balanced_error", "worst_class", "worst_tenth", "harmonic_mean", "ece", "test_loss"),
)


def to_json(tables: Sequence[Table]) -> str:
    """Write tables as a JSON list, every metric included, those of plugins too."""
    return json.dumps([table_dict(table) for table in tables], sort_keys=True, indent=1, allow_nan=False) + "\n"


def to_csv(tables: Sequence[Table]) -> str:
    """Write all tables as one CSV; the columns to the left say what a row may be compared with."""
    names = {name for table in tables for row in table.rows for name in row.figures}
    shifts = sorted(name for name in names if name.startswith("label_shift.") and name.endswith(".accuracy"))
    lines = [line for table in tables for line in _csv_lines(table, (*_CSV_METRICS, *shifts))]
    columns = list(dict.fromkeys(name for line in lines for name in line))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def _csv_lines(table: Table, metrics: Sequence[str]) -> list[dict[str, Any]]:
    shared = {
        "dataset": table.dataset,
        "imbalance_ratio": table.imbalance_ratio,
        "imbalance": table.imbalance,
        "split_seeds": " ".join(str(seed) for seed, _ in table.splits),
        "train_images": table.train_images,
        "track": table.track,
        "protocol": json.dumps(table.protocol.as_dict(), sort_keys=True),
        "precision": table.precision,
        "selection": table.selection,
        **({"remark": table.remark} if table.remark else {}),
    }
    lines = []
    for row, rank, left_out in zip(table.rows, table.ranks(), table.left_out(), strict=True):
        line = {**shared, "rank": rank, "method": row.method}
        line["overrides"] = json.dumps(row.overrides, sort_keys=True) if row.overrides else ""
        line["tuning_trials"] = row.tuning_trials
        line |= {"tuned": " ".join(row.tuned), "tuning": json.dumps(table.tuning, sort_keys=True)} if table.tuning else {}
        line |= {"external": row.external, "completed": len(row.completed), "diverged": row.diverged, "failed": row.failed}
        for name in metrics:
            value = row.figure(name)
            low, high = value.interval or (None, None)
            line |= {name: value.mean, f"{name}_low": low, f"{name}_high": high}
        line["seconds"] = row.seconds.mean
        line |= {"tested": row.tested} if row.tested else {}
        line |= {"code": row.code} if row.code else {}
        line["not_compared"] = left_out
        lines.append({name: escape_spreadsheet(printable(v)) if isinstance(v, str) else v for name, v in line.items()})
    return lines


def table_dict(table: Table) -> dict[str, Any]:
    """Return a table as JSON types."""
    plain = ("dataset", "imbalance_ratio", "imbalance", "track", "selection", "precision", "external", "train_images")
    return {
        **{name: getattr(table, name) for name in plain},
        "protocol": table.protocol.as_dict(),
        **({"tuning": table.tuning} if table.tuning else {}),
        **({"weights": table.weights} if table.weights else {}),
        "splits": [{"seed": seed, "hash": digest} for seed, digest in table.splits],
        "not_ranked": table.unranked,
        **({"remark": table.remark} if table.remark else {}),
        "rows": [_row(*one) for one in zip(table.rows, table.ranks(), table.left_out(), strict=True)],
    }


def _row(row: Row, rank: int | None, left_out: str | None) -> dict[str, Any]:
    runs = [{"seed": record.task.seed, "split_seed": record.task.split_seed, "key": record.key} for record in row.records]
    return {
        "rank": rank,
        "not_compared": left_out,
        "method": row.method,
        "overrides": row.overrides,
        "external": row.external,
        **({"tuned": list(row.tuned)} if row.tuned else {}),
        **({"tested": row.tested} if row.tested else {}),
        **({"code": row.code} if row.code else {}),
        "completed": runs,
        "diverged": row.diverged,
        "failed": row.failed,
        "metrics": {name: _estimate(value) for name, value in row.figures.items()},
        "seconds": _estimate(row.seconds),
    }


def read_estimate(found: Mapping[str, Any]) -> Estimate:
    """Return an estimate from JSON; boards of before hold half the width of the interval."""
    mean, ends = found["mean"], found["ci95"]
    if isinstance(ends, (int, float)) and mean is not None:
        ends = (mean - ends, mean + ends)
    return Estimate(mean, None if ends is None else (ends[0], ends[1]), int(found["runs"]))


def _estimate(value: Estimate) -> dict[str, Any]:
    return {"mean": value.mean, "ci95": None if value.interval is None else [*value.interval], "runs": value.runs}
