"""The page over all boards: what was measured on each, and what is only printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ltbench.leaderboard.page.columns import cell, figure
from ltbench.leaderboard.page.lead import comparable, lead
from ltbench.leaderboard.page.view import plain_texts

_SHOWN = 6  # rows of a board's picture
_WIDTH = 100  # of a bar, in the picture's own units


def overview(contents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the boards with records, and those without."""
    boards = [_board(plain_texts(content)) for content in contents]
    return {"measured": [board for board in boards if board["lead"]], "printed": [board for board in boards if not board["lead"]],
            "runs": sum(board["runs"] for board in boards), "rows": sum(board["rows"] for board in boards)}


def _board(content: Mapping[str, Any]) -> dict[str, Any]:
    tables, printed, asked = content["tables"], content.get("printed", ()), content.get("asked", ())
    papers = list(dict.fromkeys(row["source"] for row in printed))
    return {
        "name": content["name"],
        "title": content["title"],
        "tables": len(tables),
        "rows": sum(len(table["rows"]) for table in tables),
        "runs": sum(len(row["completed"]) for table in tables for row in table["rows"]),
        "lead": lead(tables[0]) if tables else None,
        "heading": tables[0]["heading"] if tables else "",
        "bars": _bars(tables[0]["rows"]) if tables else [],
        "printed": len(printed),
        "papers": ", ".join(papers),
        "claims": len(content.get("claims", ())),
        "asked": sum(run["there"] < run["seeds"] for run in asked),
    }


def _bars(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the first rows with the places of mean and interval in a picture that spans them all."""
    best = [(row, figure(row, "accuracy.all")) for row in comparable(rows)]
    shown = [(row, one, one.mean, one.interval or (one.mean, one.mean)) for row, one in best if one.mean is not None][:_SHOWN]
    if not shown:
        return []
    low, high = min(ends[0] for *_, ends in shown), max(ends[1] for *_, ends in shown)

    def place(value: float) -> str:
        return f"{_WIDTH * (value - low) / (high - low):.1f}" if high > low else f"{_WIDTH / 2}"

    return [{"method": row["method"], "mean": cell(one, 1), "at": place(mean), "from": place(ends[0]), "to": place(ends[1])}
            for row, one, mean, ends in shown]
