"""What a change does to boards: the rows that come, go, or have other figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ltbench.errors import UserError
from ltbench.leaderboard.export import read_estimate
from ltbench.leaderboard.tables import NOTHING, format_estimate, tabulate_markdown
from ltbench.results.interval import Estimate
from ltbench.results.text import printable

NEW, REMOVED, CHANGED = "new", "removed", "changed"
_MOST_BYTES = 64 * 2**20
Content = Mapping[str, Any]


class Change(NamedTuple):
    """Hold what became of one row: its accuracy over all classes before and after, None where it was not there."""

    table: str
    method: str
    kind: str
    before: Estimate | None
    after: Estimate | None


def read_base(file: Path) -> Content:
    """Read a ``board.json`` of before; a board without one is new.

    Raises:
        UserError: If it cannot be read, or is none.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise UserError(f"{str(file)!r} must have at most {_MOST_BYTES} bytes")
        content = json.loads(file.read_bytes())
        _rows(content)
    except FileNotFoundError:
        return {"tables": []}
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{str(file)!r} must be a board.json of ltbench ({type(error).__name__})") from None
    return dict(content)


def changes(before: Content, after: Content) -> list[Change]:
    """Return the rows that differ, in the order of their tables and names."""
    old, new = _rows(before), _rows(after)
    found = []
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key), new.get(key)
        if was != now:
            kind = NEW if was is None else REMOVED if now is None else CHANGED
            found.append(Change(*key, kind, was and was[0], now and now[0]))
    return found


def to_markdown(name: str, found: list[Change]) -> str:
    """Write the changes of a board as a markdown table."""
    if not found:
        return f"**{name}**: no row changes.\n"
    header = ["method", "change", "before", "after", "runs", "table"]
    rows = [[printable(cell) for cell in (one.method, one.kind, _figure(one.before), _figure(one.after), _runs(one), one.table)]
            for one in found]
    return f"**{name}**: {len(found)} row{'s' if len(found) != 1 else ''}\n\n{tabulate_markdown(header, rows)}\n"


def _rows(content: Content) -> dict[tuple[str, str], tuple[Estimate, Any]]:
    """Return the accuracy of every row, and all of its figures but its time."""
    return {(str(table["heading"]), str(row["method"])): (_accuracy(row), {k: v for k, v in row.items() if k != "seconds"})
            for table in content["tables"] for row in table["rows"]}


def _accuracy(row: Content) -> Estimate:
    found = row["metrics"].get("accuracy.all")
    return read_estimate(found) if found else Estimate(None, None, 0)


def _figure(value: Estimate | None) -> str:
    return NOTHING if value is None else format_estimate(value, 1)


def _runs(one: Change) -> str:
    return " to ".join(str(value.runs) for value in (one.before, one.after) if value is not None)
