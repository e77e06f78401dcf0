"""From records to rows, and from rows to tables: only what had equal terms stands in one table."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ltbench.leaderboard import elsewhere
from ltbench.leaderboard.contradictions import Contradiction, one_a_run, one_split
from ltbench.leaderboard.rows import Row, Table
from ltbench.leaderboard.tuned import tuned_names, tuning_terms
from ltbench.results.interval import estimate, within
from ltbench.results.records import Stored
from ltbench.results.schema import Part, Record


class _OneCode(NamedTuple):
    """Hold the runs of a row, and the files whose code is another one in a row that shares all the rest."""

    items: list[Stored]
    changed: tuple[str, ...]


def collect(stored: Iterable[Stored], remarks: Mapping[str, str] | None = None) -> tuple[list[Table], list[Contradiction]]:
    """Group records into tables.

    A row is an expression with all its hyperparameters, run by one code: runs of methods whose files were other ones are a row
    of their own. Two records of one run (the same row, seed and split seed, or split seeds that chose the same images) count once
    if they are equal; if they are not, neither is used, and no more are records that describe one split differently: ltbench
    never picks a winner.

    Args:
        remarks: What must stand beside the figures of a dataset, by its name, see :attr:`ltbench.DatasetSpec.remark`.

    Returns:
        The tables in the order of their settings, and the pairs of records that contradict each other.
    """
    kept, contradictions = one_split(stored)
    rows: dict[tuple[str, str], list[Stored]] = defaultdict(list)
    for item in kept:
        rows[_terms(item.record), _identity(item.record)].append(item)
    groups: dict[str, list[_OneCode]] = defaultdict(list)
    for (shared, _), items in sorted(rows.items()):
        for row in _by_code(items):
            once, found = one_a_run(row.items)
            contradictions += found
            if once:
                groups[_text([shared, _splits(once)])].append(_OneCode(once, row.changed))
    tables = [_table(rows_of, remarks or {}) for _, rows_of in sorted(groups.items())]
    tables.sort(key=lambda table: (table.dataset, table.imbalance_ratio or 0.0, table.imbalance or "", table.track))
    return tables, contradictions


def same_row(a: Record, b: Record) -> bool:
    """Tell whether two records are runs of one row: equal in everything but seeds and what came out."""
    return _terms(a) == _terms(b) and _identity(a) == _identity(b) and _code(a) == _code(b)


def _text(value: Any) -> str:
    return json.dumps(_as_floats(value), sort_keys=True)


def _as_floats(value: Any) -> Any:
    """Make 10 and 10.0 alike: which of them JSON holds depends on what a user typed."""
    if isinstance(value, dict):
        return {name: _as_floats(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else value


def terms(record: Record) -> dict[str, Any]:
    """Return everything but the split that rows of one table share."""
    task, split = record.task, record.split
    shared = {
        "dataset": task.dataset, "imbalance_ratio": task.imbalance_ratio, "imbalance": task.imbalance,
        "track": record.track, "selection": record.selection, "precision": record.precision,
        "external": elsewhere.of_record(record), "protocol": record.protocol.as_dict(),
    }
    # One name may stand for other images.
    sometimes = {"tuning": tuning_terms(record), "weights": elsewhere.weights_of(record), "images": split.images,
                 "unreadable": _plain(split.unreadable)}
    return shared | {name: value for name, value in sometimes.items() if value is not None}


def _terms(record: Record) -> str:
    return _text(list(terms(record).values()))


def _identity(record: Record) -> str:
    """Name everything that the runs of one row share, the code of their methods aside."""
    methods = [[method.name, method.hyperparameters] for stage in record.stages for method in stage.methods]
    protocols = [stage.protocol for stage in record.stages]  # a later stage's are not in the table's
    given = [record.external, _plain(record.pretraining), _plain(record.tuning)]
    return _text([record.expression, record.expression_hash, methods, protocols, *given])


def _code(record: Record) -> dict[str, str]:
    """Return the hash of each file that the methods' code came from."""
    return {file: digest for stage in record.stages for method in stage.methods for file, digest in method.sources.items()}


def _by_code(items: Iterable[Stored]) -> list[_OneCode]:
    """Part runs that share all but the code of their methods into rows, in the order of their first runs."""
    found: dict[str, list[Stored]] = defaultdict(list)
    for item in items:
        found[_text(_code(item.record))].append(item)
    codes = [_code(of_one[0].record) for of_one in found.values()]
    changed = tuple(sorted(file for file in set().union(*codes) if len({code.get(file) for code in codes}) > 1))
    return [_OneCode(of_one, changed) for of_one in found.values()]


def _plain(part: Part | None) -> dict[str, Any] | None:
    return None if part is None else part.as_dict()


def _splits(row: Iterable[Stored]) -> list[tuple[int, str]]:
    return sorted({(record.task.split_seed, record.split.hash) for _, record in row})


def _overrides(record: Record) -> dict[str, Any]:
    return {
        name if len(record.stages) == 1 else f"stage {number} {name}": value
        for number, stage in enumerate(record.stages, start=1)
        for name, value in sorted(stage.protocol_overrides.items())
    }


def _table(groups: list[_OneCode], remarks: Mapping[str, str]) -> Table:
    firsts = [group.items[0].record for group in groups]
    hashes = {(first.expression, first.expression_hash) for first in firsts}
    names = Counter(expression for expression, _ in hashes)  # rows of two first stages from elsewhere differ in their notes
    rows = [_row(*group, distinct=names[first.expression] > 1) for first, group in zip(firsts, groups, strict=True)]
    rows.sort(key=lambda row: (not row.whole, -_or_lowest(row.figure("accuracy.all").mean), row.method))
    record = firsts[0]
    return Table(
        dataset=record.task.dataset,
        imbalance_ratio=record.task.imbalance_ratio,
        imbalance=record.task.imbalance,
        track=record.track,
        selection=record.selection,
        precision=record.precision,
        external=elsewhere.of_record(record),
        protocol=record.protocol,
        splits=tuple(_splits(groups[0].items)),
        train_images=sum(record.split.class_counts),
        rows=tuple(rows),
        tuning=tuning_terms(record),
        remark=remarks.get(record.task.dataset, ""),
        weights=elsewhere.weights_of(record),
    )


def _or_lowest(mean: float | None) -> float:
    return -1.0 if mean is None else mean


def _row(items: list[Stored], changed: tuple[str, ...], *, distinct: bool) -> Row:
    completed = tuple(item for item in items if item.record.status == "completed")
    figures = [_numbers(_plain(item.record.metrics), "") for item in completed]
    names = sorted({name for figure in figures for name in figure})
    first = items[0].record
    return Row(
        expression=first.expression,
        mark=_mark(first, changed) if distinct or changed else "",
        overrides=_overrides(first),
        external=first.external,
        completed=completed,
        diverged=sum(item.record.status == "diverged" for item in items),
        failed=sum(item.record.status == "failed" for item in items),
        figures={name: estimate([figure.get(name) for figure in figures], within(name)) for name in names},
        seconds=estimate([total_seconds(item.record) for item in completed], (0.0, math.inf)),
        tuned=tuned_names(first),
        typed=first.typed or "",
        other_code=changed,
    )


def _mark(record: Record, changed: Sequence[str]) -> str:
    """Tell rows of one expression apart, those of other code too."""
    code = _code(record)
    text = _text([record.expression_hash, {file: code.get(file) for file in changed}])
    return hashlib.sha256(text.encode()).hexdigest()[:8] if changed else record.expression_hash[:8]


def total_seconds(record: Record) -> float | None:
    """Return how long a run took: the phase ``total`` where there is one, else the sum; None if nothing was timed.

    Reading the data is left out of the sum: runs that follow each other share it.
    """
    seconds = record.timing.seconds
    if "total" in seconds:
        total = seconds["total"]
        return None if total is None else float(total)
    known = [value for phase, value in seconds.items() if value is not None and phase != "data"]
    return float(sum(known)) if known else None


def _numbers(value: Any, path: str) -> dict[str, float | None]:
    """Flatten metrics to dotted names, plugin figures among them; what is no number is left out."""
    if isinstance(value, dict):
        return {k: v for name, item in value.items() for k, v in _numbers(item, f"{path}.{name}" if path else name).items()}
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return {path: value}
    return {}
