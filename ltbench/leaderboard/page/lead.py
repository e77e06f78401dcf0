"""What a page opens with: what was compared, and which rows are best in what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ltbench.leaderboard.page.columns import cell, figure
from ltbench.leaderboard.page.rows import BEST, standing_of
from ltbench.results.interval import FEWEST_SEEDS, Estimate

_ASKED = (("over all classes", "accuracy.all"), ("on few-shot classes", "accuracy.few"),
          ("on many-shot classes", "accuracy.many"))


def lead(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the opening of one table.

    Args:
        table: As ``board.json`` holds it.
    """
    rows = table["rows"]
    seeds = sorted({len(row["completed"]) for row in rows if row["completed"]})
    tied = sum(standing_of(row) == BEST for row in rows)
    return {
        "methods": _counted(len(rows), "row"),
        "runs": _counted(sum(len(row["completed"]) for row in rows), "run"),
        "seeds": f"{seeds[0]} to {seeds[-1]} seeds each" if len(seeds) > 1 else f"{_counted(seeds[0], 'seed')} each" if seeds
                 else "none completed",
        "tied": f"cannot be told from {_counted(tied - 1, 'other')}" if tied > 1 else "",
        "best": list(_best(comparable(rows))),
    }


def comparable(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows among which a best one may be named: ranked and of three seeds, or what there is."""
    several = [row for row in rows if len(row["completed"]) >= FEWEST_SEEDS and not (row["diverged"] or row["failed"])]
    return [row for row in several if row["rank"] is not None] or several or [row for row in rows if row["completed"]]


def _best(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    for place, (what, key) in enumerate(_ASKED):
        known = [(mean, row) for row in rows if (mean := figure(row, key).mean) is not None]
        if known:
            _, row = max(known, key=lambda pair: pair[0])
            shown, half = cell(figure(row, key), 1)
            alike = sum(cell(Estimate(value, None, 0), 1)[0] == shown for value, _ in known) - 1
            yield {"what": what, "method": row["method"], "mean": shown, "half": half, "first": "yes" if place == 0 else "",
                   "alike": f"and {_counted(alike, 'other')}" if alike else ""}


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
