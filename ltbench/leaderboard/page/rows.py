"""One row of a table as the page shows it: cells as text, and what the scripts read of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ltbench.leaderboard.page.columns import SHIFT, Column, cell, figure, mebibytes, rounded
from ltbench.leaderboard.page.printed import printed_of, telling
from ltbench.leaderboard.ranking import TIED
from ltbench.leaderboard.ranking import WORSE as IS_WORSE
from ltbench.leaderboard.rows import among_compared
from ltbench.leaderboard.tables import NOTHING
from ltbench.results.accuracy import SPLITS

_BREAKS = re.compile(r"(?<=[/+(,])")  # where a long expression may go on in the next line
BEST, WORSE, NOT_COMPARED = "best", "worse", "not-compared"


class Known(NamedTuple):
    """Hold what is known of methods, by name.

    Args:
        papers: That they are from, as ``board.json`` holds them.
        abouts: What they do, and whose they are.
    """

    papers: Mapping[str, Mapping[str, Any]]
    abouts: Mapping[str, str]

    def sentence(self, method: Mapping[str, Any]) -> str:
        """Say what a method does, without the paper where that is named apart."""
        about = method["about"] or self.abouts.get(method["name"], "")
        paper = self.papers.get(method["name"])
        return about.removesuffix(f" ({paper['authors']})") if paper else about


def row_view(row: Mapping[str, Any], rank: int | None, found: Sequence[Mapping[str, Any]], shown: Sequence[Column],
             known: Known) -> dict[str, Any]:
    """Return what the template renders of a row; ``data`` within is what the scripts read.

    Args:
        rank: See :func:`ranks_of`.
        found: What papers print of the row.
    """
    figures = {column.key: figure(row, column.key) for column in shown}
    standing, notes = standing_of(row), _notes(row)
    return {
        "parts": _BREAKS.split(row["method"]),
        "about": _about(row, known),
        "rank": NOTHING if rank is None else str(rank),
        "ranks": _ranks(row),
        "standing": standing,
        "why": row.get("not_compared") or "",
        "runs": len(row["completed"]),
        "cells": [cell(figures[column.key], column.decimals) for column in shown],
        "printed": telling(found),
        "notes": notes,
        "data": {
            "method": row["method"],
            "rank": rank,
            "ranked": row["rank"] is not None,
            "ranks": row.get("rank_interval"),
            "standing": standing,
            "why": row.get("not_compared"),
            "notes": notes,
            "count": len(row["completed"]),
            "values": {key: [rounded(one.mean), *map(rounded, one.interval or (None, None))]
                       for key, one in figures.items() if one.mean is not None},
            "shifts": {name[len("label_shift."):-len(".accuracy")]: rounded(one["mean"])
                       for name, one in sorted(row["metrics"].items()) if SHIFT.fullmatch(name)},
            "curve": row["curve"],
            "fates": row.get("fates"),
            "calibration": row.get("calibration"),
            "training": _by_column(row.get("training")),
            "command": row["command"],
            "printed": [printed_of(claim) for claim in found],
            "runs": [[run["split_seed"], run["seed"], *(rounded(run["accuracy"][split]) for split in SPLITS)]
                     for run in row["runs"]],
            "seconds": {phase: rounded(value) for phase, value in row["seconds_by_phase"].items()},
            "memory": {place: mebibytes(value) for place, value in row["peak_memory_bytes"].items()},
            "stages": [_stage(stage, known) for stage in row["stages"]],
            "made": row["made_by"],
        },
    }


def standing_of(row: Mapping[str, Any]) -> str:
    """Tell a row that was compared and is worse from one that was not compared.

    A row without a word on it is not compared: what is not known must not read as "worse".
    """
    if row.get("not_compared"):
        return NOT_COMPARED
    return {TIED: BEST, IS_WORSE: WORSE}.get(row["standing"], NOT_COMPARED)


def ranks_of(rows: Sequence[Mapping[str, Any]]) -> list[int | None]:
    """Return each row's rank as a reader sees it."""
    return among_compared([row["rank"] for row in rows], [standing_of(row) != NOT_COMPARED for row in rows])


def _ranks(row: Mapping[str, Any]) -> str:
    """Write the ranks that the data allow."""
    interval = row.get("rank_interval")
    if not interval:
        return ""
    low, high = interval
    return f"{low} to {high}" if low != high else f"{low} for sure"


def _about(row: Mapping[str, Any], known: Known) -> str:
    """Say in a sentence what the row's last stage does, for that is what tells it from others on the same first stage."""
    texts = [known.sentence(method) for method in row["stages"][-1]["methods"]] if row["stages"] else []
    return "; ".join(filter(None, texts))


def _notes(row: Mapping[str, Any]) -> str:
    notes = [row[name] for name in ("tested", "code") if name in row]
    notes += [f"{name}={_text(value)}" for name, value in row["overrides"].items()]
    notes += [f"external: {row['external']:.12}"] if row["external"] is not None else []
    total = len(row["completed"]) + row["diverged"] + row["failed"]
    notes += [f"{row[status]} of {total} {status}" for status in ("diverged", "failed") if row[status]]
    return "; ".join(notes)


def _stage(stage: Mapping[str, Any], known: Known) -> dict[str, Any]:
    settings = [f"{method['name']}.{name} = {_text(value)}" for method in stage["methods"]
                for name, value in sorted(method["hyperparameters"].items())]
    settings += [f"{name} = {_text(value)} (declared by the method)" for name, value in sorted(stage["overrides"].items())]
    methods = [[method["name"], known.sentence(method), *_paper(known.papers.get(method["name"]))] for method in stage["methods"]]
    return {"title": f"{stage['expression']}, on {_text(stage['inputs'])}", "methods": methods, "settings": settings}


def _paper(paper: Mapping[str, Any] | None) -> list[str]:
    """Return a paper's name and address; nothing but an address of the web becomes a link."""
    if paper is None:
        return ["", ""]
    return [f"{paper['authors']}: {paper['title']}", paper["link"] if paper["link"].startswith("https://") else ""]


def _by_column(training: Sequence[Sequence[float | None]] | None) -> list[list[float | None]] | None:
    """Turn moments into columns: stage, epoch, accuracy, loss."""
    return None if not training else [list(values) for values in zip(*training, strict=True)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
