"""What papers print of a row, as the page shows it: one claim in the table, all of them in the details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ltbench.leaderboard.reported import DIVERGED, INCONCLUSIVE, NOT_COMPARABLE, NOT_REPRODUCED, REPRODUCED
from ltbench.leaderboard.tables import NOTHING

# What a reader must not overlook comes first.
_ORDER = (NOT_REPRODUCED, REPRODUCED, DIVERGED, INCONCLUSIVE, NOT_COMPARABLE)


class Telling(NamedTuple):
    """Hold the claim that a table's row shows.

    Args:
        reported: Accuracy over all classes, as text.
        difference: Measured minus printed, as text; empty where terms were others.
        verdict: One of the constants of :mod:`ltbench.leaderboard.reported`; empty where no paper prints the row.
        mark: Of the verdict, for the style sheet.
        more: How many other claims there are.
    """

    reported: str
    difference: str
    verdict: str
    mark: str
    more: int


def telling(found: Sequence[Mapping[str, Any]]) -> Telling:
    """Choose the claim to show of a row: a verdict on it before a claim on other terms."""
    if not found:
        return Telling(NOTHING, "", "", "", 0)
    one = min(found, key=lambda claim: _ORDER.index(claim["verdict"]))
    reported, difference, *_ = printed_of(one)[2:]
    return Telling(reported, difference, one["verdict"], one["verdict"].replace(" ", "-"), len(found) - 1)


def printed_of(claim: Mapping[str, Any]) -> list[str]:
    """Return a claim's cells: paper, row, reported, difference, verdict and why.

    Where terms were others, the difference is of the terms as much as of the row, and is left out.
    """
    reported, difference = (claim[field].get("all") for field in ("accuracy", "differences"))
    if claim["verdict"] == NOT_COMPARABLE:
        difference = None
    return [f"{claim['source']}, table {claim['table']}", claim["row"], NOTHING if reported is None else f"{reported:.1f}",
            _signed(difference), claim["verdict"], claim["reason"]]


def _signed(difference: float | None) -> str:
    return "" if difference is None else f"{difference:+.1f}".replace("-", "−")
