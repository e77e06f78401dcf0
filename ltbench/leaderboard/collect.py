"""From records to rows, and from rows to tables: only what had equal terms stands in one table."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ltbench.leaderboard.statistics import Estimate, estimate
from ltbench.leaderboard.tuned import too_many, tuned_names, tuning_terms
from ltbench.results.records import Record, Stored, equal
from ltbench.terms.protocol import CUSTOM

SMOKE = "smoke"
# What two records of one run may call differently: the file beside, and the paper on whose (equal) terms it was run.
_NAMES = ("predictions.file", "paper")


@dataclass(frozen=True)
class Row:
    """Hold one stack of methods within a table.

    Args:
        method: The canonical expression; with a part of its hash where another row of the table has the same one.
        overrides: What methods declared to change of the protocol, by setting.
        external: Where the first stage came from, if not from ltbench.
        completed: Records, in the order of their seeds.
        diverged: How many runs did.
        failed: How many runs did.
        figures: Mean over the completed runs of each metric by its dotted name, for example ``accuracy.few``.
        seconds: Mean of a run's total.
        tuned: Hyperparameters that trials chose, by ``method.name``.
    """

    method: str
    overrides: dict[str, Any]
    external: str | None
    completed: tuple[Record, ...]
    diverged: int
    failed: int
    figures: dict[str, Estimate]
    seconds: Estimate
    tuned: tuple[str, ...] = ()

    @property
    def tuning_trials(self) -> int:
        """How many trials chose the row's hyperparameters; records of before anything could be tuned do not say, and had none."""
        return max((record.get("tuning_trials", 0) for record in self.completed), default=0)

    @property
    def whole(self) -> bool:
        """Whether every run completed; a mean over the runs that happened to survive is not ranked."""
        return not (self.diverged or self.failed)

    @property
    def ranked(self) -> bool:
        """Whether the row may have a rank in a table that has any."""
        return self.whole and not too_many(self.tuned)

    def figure(self, name: str) -> Estimate:
        """Return a metric's estimate, which is empty where no run has it."""
        return self.figures.get(name, Estimate(None, None, 0))


@dataclass(frozen=True)
class Table:
    """Hold rows that had equal terms, best first and those with a broken run last.

    Args:
        dataset: Name.
        imbalance_ratio: None where the data is used as it is.
        imbalance: Its form.
        track: ``common`` or ``paper``.
        selection: ``last``, ``val`` or, from outside reports, ``test``.
        precision: Of training.
        external: What came from elsewhere: ``external first stages``, or ``external pre-training`` of frozen backbones; None
            where all was trained on the task alone.
        protocol: Its settings.
        splits: Split seed and hash of each subset that the runs cover.
        train_images: Of one subset.
        rows: Sorted.
        tuning: How many trials each row had, and on what; None where nothing was tuned.
    """

    dataset: str
    imbalance_ratio: float | None
    imbalance: str | None
    track: str
    selection: str
    precision: str
    external: str | None
    protocol: dict[str, Any]
    splits: tuple[tuple[int, str], ...]
    train_images: int
    rows: tuple[Row, ...]
    tuning: dict[str, Any] | None = None

    @property
    def unranked(self) -> str | None:
        """Why the rows have no ranks; None if they have."""
        if self.protocol["name"] in (CUSTOM, SMOKE):
            return f"{self.protocol['name']} protocol"
        return self.external

    def ranks(self) -> list[int | None]:
        """Return each row's rank; equal means share one, and a row with a broken run or too much tuned has none."""
        best = [None if self.unranked or not row.ranked else row.figure("accuracy.all").mean for row in self.rows]
        return [None if a is None else 1 + sum(b is not None and b > a for b in best) for a in best]


def collect(stored: Iterable[Stored]) -> tuple[list[Table], list[str]]:
    """Group records into tables.

    A row is an expression with all its hyperparameters. Two records of one run (the same row, seed and split seed) count once if
    they are equal; if they are not, neither is used: ltbench never picks a winner.

    Args:
        stored: Records with their paths.

    Returns:
        The tables in the order of their settings, and one line for each pair of records that contradict each other.
    """
    rows: dict[tuple[str, str], list[Stored]] = defaultdict(list)
    for item in stored:
        rows[_terms(item.record), _identity(item.record)].append(item)
    problems: list[str] = []
    groups: dict[str, list[list[Record]]] = defaultdict(list)
    for (shared, _), items in sorted(rows.items()):
        records = _one_a_run(items, problems)
        if records:
            groups[_text([shared, _splits(records)])].append(records)
    tables = [_table(rows_of) for _, rows_of in sorted(groups.items())]
    tables.sort(key=lambda table: (table.dataset, table.imbalance_ratio or 0.0, table.imbalance or "", table.track))
    return tables, problems


def same_row(a: Record, b: Record) -> bool:
    """Tell whether two records are runs of one row: equal in everything but seeds and what came out.

    Args:
        a: As read.
        b: Likewise.
    """
    return _terms(a) == _terms(b) and _identity(a) == _identity(b)


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
    """Return everything but the split that rows of one table share.

    Args:
        record: As read.
    """
    task = record["task"]
    shared = {name: task[name] for name in ("dataset", "imbalance_ratio", "imbalance")}
    shared |= {name: record[name] for name in ("track", "selection", "precision")}
    shared |= {"external": _external(record), "protocol": record["protocol"]}
    shared |= {"tuning": tuning} if (tuning := tuning_terms(record)) else {}
    # One name may stand for other images.
    return shared | {name: record["split"][name] for name in ("images", "unreadable") if name in record["split"]}


def _terms(record: Record) -> str:
    return _text(list(terms(record).values()))


def _external(record: Record) -> str | None:
    """Say what of a run came from elsewhere; records of before weights could be given say no more than that something did."""
    if record["external"] is None:
        return None
    kind = (record.get("pretraining") or {}).get("kind")
    return "external pre-training" if kind == "weights" else "external first stages"


def _identity(record: Record) -> str:
    """Name everything that the runs of one row share."""
    methods = [[method["name"], method["hyperparameters"]] for stage in record["stages"] for method in stage["methods"]]
    protocols = [stage.get("protocol") for stage in record["stages"]]  # a later stage's are not in the table's
    given = [record["external"], record.get("pretraining"), record.get("tuning")]
    return _text([record["expression"], record["expression_hash"], methods, protocols, *given])


def _splits(records: Iterable[Record]) -> list[tuple[int, str]]:
    return sorted({(record["task"]["split_seed"], record["split"]["hash"]) for record in records})


def _overrides(record: Record) -> dict[str, Any]:
    stages = record["stages"]
    return {
        name if len(stages) == 1 else f"stage {number} {name}": value
        for number, stage in enumerate(stages, start=1)
        for name, value in sorted(stage.get("protocol_overrides", {}).items())
    }


def _one_a_run(items: list[Stored], problems: list[str]) -> list[Record]:
    runs: dict[tuple[int, int], list[Stored]] = defaultdict(list)
    for item in items:
        runs[item.record["task"]["split_seed"], item.record["task"]["seed"]].append(item)
    kept = []
    for (split_seed, seed), same in sorted(runs.items()):
        first, *others = same
        # A copy may carry another name; what its predictions are is in their hash.
        differing = [[path for path in equal(first.record, other.record) if path not in _NAMES] for other in others]
        for other, paths in zip(others, differing, strict=True):
            if paths:
                fields = ", ".join(paths[:3]) + (" and more" if len(paths) > 3 else "")
                problems.append(f"records {first.path} and {other.path} are of one run (seed {seed}, split seed {split_seed}) "
                                f"and differ in {fields}: neither is used")
        if not any(differing):
            kept.append(first.record)
    return kept


def _table(groups: list[list[Record]]) -> Table:
    hashes = {(records[0]["expression"], records[0]["expression_hash"]) for records in groups}
    names = Counter(expression for expression, _ in hashes)  # rows of two first stages from elsewhere differ in their notes
    rows = [_row(records, distinct=names[records[0]["expression"]] > 1) for records in groups]
    rows.sort(key=lambda row: (not row.whole, -_or_lowest(row.figure("accuracy.all").mean), row.method))
    record = groups[0][0]
    return Table(
        dataset=record["task"]["dataset"],
        imbalance_ratio=record["task"]["imbalance_ratio"],
        imbalance=record["task"]["imbalance"],
        track=record["track"],
        selection=record["selection"],
        precision=record["precision"],
        external=_external(record),
        protocol=record["protocol"],
        splits=tuple(_splits(groups[0])),
        train_images=sum(record["split"]["class_counts"]),
        rows=tuple(rows),
        tuning=tuning_terms(record),
    )


def _or_lowest(mean: float | None) -> float:
    return -1.0 if mean is None else mean


def _row(records: list[Record], distinct: bool) -> Row:
    completed = tuple(record for record in records if record["status"] == "completed")
    figures = [_numbers(record["metrics"], "") for record in completed]
    names = sorted({name for figure in figures for name in figure})
    first = records[0]
    return Row(
        method=f"{first['expression']} #{first['expression_hash'][:8]}" if distinct else first["expression"],
        overrides=_overrides(first),
        external=first["external"],
        completed=completed,
        diverged=sum(record["status"] == "diverged" for record in records),
        failed=sum(record["status"] == "failed" for record in records),
        figures={name: estimate([figure.get(name) for figure in figures]) for name in names},
        seconds=estimate([total_seconds(record) for record in completed]),
        tuned=tuned_names(first),
    )


def total_seconds(record: Record) -> float | None:
    """Return how long a run took: the phase ``total`` where there is one, else the sum; None if nothing was timed.

    Reading the data is left out of the sum: runs that follow each other share it.

    Args:
        record: As read.
    """
    seconds = record["timing"]["seconds"]
    if "total" in seconds:
        return float(seconds["total"]) if seconds["total"] is not None else None
    known = [value for phase, value in seconds.items() if value is not None and phase != "data"]
    return float(sum(known)) if known else None


def _numbers(value: Any, path: str) -> dict[str, float | None]:
    """Flatten metrics to dotted names, plugin figures among them; what is no number is left out."""
    if isinstance(value, dict):
        return {k: v for name, item in value.items() for k, v in _numbers(item, f"{path}.{name}" if path else name).items()}
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return {path: value}
    return {}
