"""What a board publishes: every file of it that is generated, a function of its records, the printed figures and the remarks.

The same bytes on any machine: no time, no locale, no path, no order of a file system enters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltbench.errors import UserError
from ltbench.leaderboard.board import Board
from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.details import curve_images, row_details
from ltbench.leaderboard.export import table_dict, to_csv
from ltbench.leaderboard.outcomes import Outcome, read_outcome
from ltbench.leaderboard.page import render_page
from ltbench.leaderboard.ranking import Standing, standings
from ltbench.leaderboard.reported import Printed, Reproduction, reproductions
from ltbench.leaderboard.rows import Row, Table
from ltbench.leaderboard.tables import NOTHING, Heading, format_estimate, headings, render, tabulate_markdown
from ltbench.results.records import read_directory
from ltbench.results.text import escape_markdown, printable
from ltbench.system.atomic import write_whole

START, END = "<!-- board -->\n", "<!-- /board -->"
_README = "README.md"


@dataclass(frozen=True)
class Shown:
    """Hold a table with what a board says of it.

    Args:
        standing: What the statistics say of each row.
        beside: What papers print of each row.
    """

    table: Table
    heading: Heading
    standing: Sequence[Standing]
    beside: Sequence[Sequence[Reproduction]]


def generate(board: Board, printed: Sequence[Printed], remarks: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """Return the contents of every generated file of a board, by name.

    Args:
        remarks: What must stand beside the figures of a dataset, by its name.

    Raises:
        UserError: If a record is broken, contradicts another or does not follow from its predictions: a board refuses to publish
            what its records do not carry.
    """
    tables, outcomes = _tables(board, remarks)
    shown = [Shown(table, heading, standings(table, outcomes).rows,
                   [reproductions(table, row, printed, board.tolerance) for row in table.rows])
             for table, heading in zip(tables, headings(tables), strict=True)]
    content = {"name": board.name, "title": board.title, "tolerance": board.tolerance, "tables": [_content(one) for one in shown]}
    files = {
        "board.json": json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n",
        "index.html": render_page(content, [one.heading for one in shown]),
        "board.csv": to_csv(tables),
        "board.tex": render(tables, "latex"),
        _README: _readme(board, render(tables, "md") + "".join(map(_printed_table, shown))),
    }
    return {name: text.encode("utf-8") for name, text in files.items()}


def write(board: Board, files: Mapping[str, bytes]) -> list[str]:
    """Write what differs from what is there, each file whole or not at all; return the names of those.

    Raises:
        UserError: If the folder cannot be written.
    """
    changed = differing(board, files)
    for name in changed:
        try:
            write_whole(board.folder / name, files[name])
        except OSError as error:
            raise UserError(f"board {str(board.folder)!r} cannot be written: {error.strerror}") from None
    return changed


def differing(board: Board, files: Mapping[str, bytes]) -> list[str]:
    """Return the names of files that are not as generated."""
    return [name for name, content in files.items() if _bytes(board.folder / name) != content]


def _content(shown: Shown) -> dict[str, Any]:
    """Return a table as ``ltbench leaderboard --format json`` has it, with details of its rows and printed figures."""
    plain = table_dict(shown.table)
    rows = [{**line, **row_details(row, standing)}
            for line, row, standing in zip(plain["rows"], shown.table.rows, shown.standing, strict=True)]
    return {**plain, "rows": rows, "curve_images": curve_images(shown.table), "heading": str(shown.heading),
            "reported": [[_reproduction(one) for one in found] for found in shown.beside]}


def _tables(board: Board, remarks: Mapping[str, str] | None) -> tuple[list[Table], dict[Path, Outcome]]:
    """Return a board's tables, and what each completed run got right, by the file of its record."""
    stored, problems = read_directory(board.results) if board.results.is_dir() else ([], [])
    outcomes: dict[Path, Outcome] = {}
    before: Outcome | None = None
    for item in stored:
        outcome, mismatches = read_outcome(item)
        if outcome is not None:
            before = outcomes[item.path] = outcome.sharing(before)
        problems += [f"{item.path.name}: {mismatch}" for mismatch in mismatches]
        if item.record.core.dirty:
            problems.append(f"{item.path.name}: it is of a commit with changes of its own")
    tables, contradictions = collect(stored, remarks)
    if problems := [*problems, *map(str, contradictions)]:
        raise UserError(f"board {board.name!r} cannot be published: " + "; ".join(problems[:3]))
    if not tables:
        raise UserError(f"board {board.name!r} cannot be published: {str(board.results)!r} holds no record")
    return tables, outcomes


def _readme(board: Board, text: str) -> str:
    """Put the tables between the markers of the board's README, which is the author's outside of them."""
    try:
        whole = (board.folder / _README).read_text(encoding="utf-8")
    except FileNotFoundError:
        whole = f"# {board.title}\n\n{START}{END}\n"
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{_README} of board {board.name!r} cannot be read: {error}") from None
    before, start, rest = whole.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise UserError(f"{_README} of board {board.name!r} must hold the two markers {START.strip()} and {END}")
    return f"{before}{START}{text}{END}{after}"


def _printed_table(shown: Shown) -> str:
    rows = [_printed_row(row, one) for row, found in zip(shown.table.rows, shown.beside, strict=True) for one in found]
    if not rows:
        return ""
    header = ["method", "paper", "row", "reported", "ours", "difference", "verdict", "because"]
    return f"\n### Beside the print: {escape_markdown(str(shown.heading))}\n\n{tabulate_markdown(header, rows)}\n"


def _printed_row(row: Row, one: Reproduction) -> list[str]:
    claim = one.printed
    difference = f"{one.differences['all']:+.1f}" if "all" in one.differences else NOTHING
    cells = (row.method, f"{claim.source}, table {claim.table}", claim.method, _figure(claim.accuracy.get("all")),
             format_estimate(row.figure("accuracy.all"), 1), difference, one.verdict, one.reason)
    return [printable(text) for text in cells]


def _figure(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"


def _reproduction(one: Reproduction) -> dict[str, Any]:
    claim = one.printed
    return {"source": claim.source, "table": claim.table, "row": claim.method, "setting": claim.setting,
            "accuracy": dict(claim.accuracy), "differences": dict(one.differences), "verdict": one.verdict, "reason": one.reason}


def _bytes(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None
