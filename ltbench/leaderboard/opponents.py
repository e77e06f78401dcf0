"""Who is compared with whom: what a user named, found among records, and refused where the terms were not equal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltbench.errors import UserError, unknown
from ltbench.leaderboard.collect import collect, terms
from ltbench.leaderboard.contradictions import Contradiction
from ltbench.leaderboard.rows import Run, name_runs, run_of
from ltbench.results.records import Stored, read
from ltbench.results.schema import Record
from ltbench.results.text import printable

_SHOWN = 6  # settings in one line
_SPLIT = "hash of split "


@dataclass(frozen=True, eq=False)
class Opponent:
    """Hold the runs of one row.

    Args:
        name: As in the row, control characters aside.
        expression: The name without what tells rows of one expression apart.
        runs: The completed ones, in the order of their seeds.
        broken: How many diverged or failed.
        terms: Settings that another row must share, by their dotted names, and the hash of each split.
    """

    name: str
    expression: str
    runs: Mapping[Run, Stored]
    broken: int
    terms: Mapping[str, Any]


def opponents(stored: Sequence[Stored]) -> tuple[list[Opponent], list[Contradiction]]:
    """Make an opponent of every row with a completed run.

    Returns:
        The opponents, and the pairs of records that contradict each other.
    """
    tables, contradictions = collect(stored)
    rows = [row for table in tables for row in table.rows if row.completed]
    return [Opponent(printable(row.method), printable(row.expression), row.runs, row.diverged + row.failed, _terms(row.records))
            for row in rows], contradictions


def is_file(name: str) -> bool:
    """Say whether a name means a record's file: no expression ends like one."""
    return name.endswith(".json")


def from_file(path: Path) -> Opponent:
    """Make an opponent of one record.

    Raises:
        UserError: If it cannot be read, or its run did not complete.
    """
    record = read(path)
    if record.status != "completed":
        raise UserError(f"record {path} must be of a completed run, got a {record.status} one")
    name = printable(record.expression)
    return Opponent(name, name, {run_of(record): Stored(path, record)}, 0, _terms([record]))


def find(name: str, known: Iterable[Opponent]) -> list[Opponent]:
    """Find an expression: at most once on any terms.

    Args:
        name: As the column ``method`` of a table shows it.

    Raises:
        UserError: If no row has the name, or two rows of a table do.
    """
    candidates = list(known)
    # Rows that differ in what an expression does not show carry a part of their hash, and are one name to a user.
    found = [one for one in candidates if name in (one.name, one.expression)]
    found = found or [one for one in candidates if unordered(name) == unordered(one.name)]
    if not found:
        raise unknown("method among the records", name, {one.name for one in candidates})
    for i, one in enumerate(found):
        same = [one, *(other for other in found[i + 1:] if not differing(one, other))]
        if len(same) > 1:
            rows = " or ".join(f"{other.name!r} ({name_runs(other.runs)})" for other in same)
            raise UserError(f"expression must name one row, got {name!r}, which may be {rows}")
    return found


def unordered(name: str) -> list[list[str]]:
    """Forget in which order the methods of a stage were written: the canonical one is not what a user typed."""
    return [sorted(stage.split("+")) for stage in name.split("/")]


def match(first: Sequence[Opponent], second: Sequence[Opponent]) -> list[tuple[Opponent, Opponent]]:
    """Pair opponents that had equal terms.

    Raises:
        UserError: If no two had equal terms; it names the settings that differ between the nearest two.
    """
    pairs = [(one, other) for one in first for other in second]
    equal = [pair for pair in pairs if not differing(*pair)]
    if not equal:
        one, other = min(pairs, key=lambda pair: len(differing(*pair)))
        names = differing(one, other)
        shown = [f"{name} {one.terms.get(name)} and {other.terms.get(name)}" for name in names[:_SHOWN]]
        more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise UserError(f"terms of {one.name!r} and {other.name!r} must be equal, got {printable(', '.join(shown))}{more}")
    return equal


def differing(one: Opponent, other: Opponent) -> list[str]:
    """Name the settings in which two opponents differ; a subset that only one was trained on is no difference."""
    names = sorted(set(one.terms) | set(other.terms))
    return [name for name in names if one.terms.get(name) != other.terms.get(name)
            and not (name.startswith(_SPLIT) and (name not in one.terms or name not in other.terms))]


def _terms(records: Sequence[Record]) -> dict[str, Any]:
    hashes: dict[str, set[str]] = defaultdict(set)
    for record in records:
        hashes[f"{_SPLIT}{record.task.split_seed}"].add(record.split.hash)
    return dict(_flat(terms(records[0]), "")) | {name: " or ".join(sorted(found)) for name, found in hashes.items()}


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{name}.")
        else:
            yield prefix + name, item
