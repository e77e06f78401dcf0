"""What a board publishes: every file of it that is generated, a function of its records, the printed figures and the remarks.

The same bytes on any machine: no time, no locale, no path, no order of a file system enters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltbench.errors import UserError
from ltbench.leaderboard.asked import Asked, run_of_claim, seeds_there
from ltbench.leaderboard.board import Board, find_boards
from ltbench.leaderboard.claims import Claim
from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.contradictions import one_labeling
from ltbench.leaderboard.details import curve_images, curve_names, row_details
from ltbench.leaderboard.export import table_dict, to_csv
from ltbench.leaderboard.findings import Finding, Measured, findings
from ltbench.leaderboard.given import NOTHING_GIVEN, Given
from ltbench.leaderboard.outcomes import Outcome, read_outcome
from ltbench.leaderboard.page import render_index, render_page
from ltbench.leaderboard.papers import papers_of
from ltbench.leaderboard.printed_page import Beside, nearest, printed_page, summary, verdict_of, verdicts_of
from ltbench.leaderboard.ranking import Standings, standings
from ltbench.leaderboard.reported import PrintedRow, Reproduction, reproductions
from ltbench.leaderboard.rows import Table
from ltbench.leaderboard.sections import PRINTED_PAGE, claims_section, describe, printed_section, to_run_section
from ltbench.leaderboard.sketch import row_sketch
from ltbench.leaderboard.tables import Heading, headings, render
from ltbench.results.class_names import Named, recorded_names
from ltbench.results.records import read_directory
from ltbench.system.atomic import write_whole

START, END = "<!-- board -->\n", "<!-- /board -->"
_README = "README.md"
INDEX = "index.html"  # a board's page; in the folder above, the one over all boards


@dataclass(frozen=True)
class Shown:
    """Hold a table with what a board says of it.

    Args:
        standings: What the statistics say of it.
        beside: What papers print of each row.
    """

    table: Table
    heading: Heading
    standings: Standings
    beside: Sequence[Sequence[Reproduction]]


def generate(board: Board, given: Given = NOTHING_GIVEN, remarks: Mapping[str, str] | None = None,
             named: Named = recorded_names) -> dict[str, bytes]:
    """Return the contents of every generated file of a board, by name.

    A board without records has a README and a page that say what is asked for and not run yet, and none of the files of a table.

    Args:
        remarks: What must stand beside the figures of a dataset, by its name.
        named: What the classes of a record are called.

    Raises:
        UserError: If a record is broken, contradicts another or does not follow from its predictions (a board refuses to publish
            what its records do not carry), or there is nothing to show.
    """
    tables, outcomes = _tables(board, remarks)
    asked = [run for run in given.asked if run.board == board.name]
    # Printed figures and claims are of networks that saw the task alone.
    datasets = {table.dataset for table in tables if not table.external} | {run.dataset for run in asked if not run.external}
    printed = [row for row in given.rows if row.dataset in datasets]
    if not (tables or asked):
        raise UserError(f"board {board.name!r} cannot be published: {str(board.results)!r} holds no record; "
                        f"ltbench run --board {board.folder} makes them")
    shown = show(tables, outcomes, given, board.tolerance)
    claims = [claim for claim in given.claims if claim.better.dataset in datasets]
    measured = [Measured(one.table, one.standings, outcomes) for one in shown if not one.table.external]
    found = [findings(claim, measured) for claim in claims]
    beside = [Beside(row, one) for table in shown for row, of_row in zip(table.table.rows, table.beside, strict=True)
              for one in of_row]
    names = {method.name for one in shown for row in one.table.rows for record in row.records for stage in record.stages
             for method in stage.methods}
    content = {"name": board.name, "title": board.title, "tolerance": board.tolerance,
               "tables": [table_content(one, named, outcomes) for one in shown],
               "claims": [_claim(claim, of_claim) for claim, of_claim in zip(claims, found, strict=True)],
               "printed": [_printed(row, beside, given.asked) for row in printed],
               "asked": [_asked(run, tables) for run in asked], "papers": papers_of(given.papers, names)}
    text = (render(tables, "md") + claims_section(claims, found) + printed_section(summary(printed, beside))
            + to_run_section(asked, tables))
    files = {"board.json": json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n", _README: _readme(board, text)}
    if printed:
        files[PRINTED_PAGE] = printed_page(board.title, printed, beside, given.asked)
    files[INDEX] = render_page(content, [one.heading for one in shown])
    if tables:
        files["board.csv"] = to_csv(tables)
        files["board.tex"] = render(tables, "latex")
    return {name: text.encode("utf-8") for name, text in sorted(files.items())}


def generate_index(boards: Iterable[Mapping[str, bytes]]) -> dict[str, bytes]:
    """Return the page over all boards by its name, from the generated files of each."""
    return {INDEX: render_index([json.loads(files["board.json"]) for files in boards]).encode("utf-8")}


def refresh_index(root: Path) -> list[str]:
    """Write the page over all boards of a folder anew, from their files as they are; return its name if it changed.

    Raises:
        UserError: If the folder cannot be written.
    """
    files = [content for board in find_boards(root) if (content := _bytes(board.folder / "board.json")) is not None]
    return write(root, generate_index({"board.json": content} for content in files))


def write(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Write what differs from what is there, each file whole or not at all; return the names of those.

    Raises:
        UserError: If the folder cannot be written.
    """
    changed = differing(folder, files)
    for name in changed:
        try:
            write_whole(folder / name, files[name])
        except OSError as error:
            raise UserError(f"board {str(folder)!r} cannot be written: {error.strerror}") from None
    return changed


def differing(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Return the names of files that are not as generated."""
    return [name for name, content in files.items() if _bytes(folder / name) != content]


def show(tables: Sequence[Table], outcomes: Mapping[Path, Outcome], given: Given, tolerance: float) -> list[Shown]:
    """Return tables with their statistics and the figures that papers print.

    Args:
        outcomes: What each completed run got right, by the file of its record.
    """
    return [Shown(table, heading, standings(table, outcomes),
                  [reproductions(table, row, given.printed, tolerance) for row in table.rows])
            for table, heading in zip(tables, headings(tables), strict=True)]


def table_content(shown: Shown, named: Named, outcomes: Mapping[Path, Outcome]) -> dict[str, Any]:
    """Return a table as ``ltbench leaderboard --format json`` has it, with details of its rows and printed figures.

    Args:
        named: What the classes of a record are called.
        outcomes: What each completed run got right, by the file of its record.
    """
    plain = table_dict(shown.table)
    sketches = {path: outcome.sketch for path, outcome in outcomes.items()}
    rows = [{**line, **row_details(row, standing),
             **row_sketch([sketches.get(item.path) for item in row.completed], row.records)}
            for line, row, standing in zip(plain["rows"], shown.table.rows, shown.standings.rows, strict=True)]
    return {**plain, "rows": rows, "curve_images": curve_images(shown.table), "curve_names": curve_names(shown.table, named),
            "heading": str(shown.heading),
            "reported": [[_reproduction(one) for one in found] for found in shown.beside]}


def _tables(board: Board, remarks: Mapping[str, str] | None) -> tuple[list[Table], dict[Path, Outcome]]:
    """Return a board's tables, and what each completed run got right, by the file of its record.

    The order is that of :func:`weight`.
    """
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
    _, labelings = one_labeling(stored, {path: outcome.tested_on for path, outcome in outcomes.items()})
    if problems := [*problems, *map(str, contradictions), *map(str, labelings)]:
        raise UserError(f"board {board.name!r} cannot be published: " + "; ".join(problems[:3]))
    return sorted(tables, key=weight), outcomes


def weight(table: Table) -> tuple[int, int]:
    """Sort by the ranked rows with an interval: what stands on top of a page is what most can be read from."""
    ranked = sum(rank is not None and row.figure("accuracy.all").half_width is not None
                 for rank, row in zip(table.ranks(), table.rows, strict=True))
    return -ranked, -table.protocol.epochs


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


def _reproduction(one: Reproduction) -> dict[str, Any]:
    claim = one.printed
    return {"source": claim.source, "table": claim.table, "row": claim.method, "setting": claim.setting,
            "accuracy": dict(claim.accuracy), "differences": dict(one.differences), "verdict": one.verdict, "reason": one.reason,
            "verdicts": dict(one.verdicts)}


def _claim(claim: Claim, found: Sequence[Finding]) -> dict[str, Any]:
    better = claim.better
    return {"says": claim.says, "source": better.source, "table": better.table, "dataset": better.dataset,
            "imbalance_ratio": better.imbalance_ratio, "split": claim.split, "printed": claim.difference,
            "better": better.method, "worse": claim.worse.method,
            "found": [{"terms": one.terms, "difference": one.difference.value, "ci95": one.difference.interval, "runs": one.runs,
                       "verdict": one.verdict, "reason": one.reason, "text": describe(one)} for one in found]}


def _printed(row: PrintedRow, beside: Sequence[Beside], asked: Sequence[Asked]) -> dict[str, Any]:
    names = ("source", "table", "dataset", "imbalance_ratio", "backbone", "setting", "run_by")
    plain = {name: getattr(row, name) for name in names}
    known = {**plain, "row": row.method, "accuracy": dict(row.accuracy)}
    if row.claim is None:
        return {**known, "verdict": None}
    one, run = nearest(row.claim, beside), run_of_claim(row.claim, asked)
    costs = {} if run is None else {"command": run.command, "cost": run.cost}
    return {**known, "verdict": verdict_of(one), "verdicts": verdicts_of(row.claim, one), **costs}


def _asked(run: Asked, tables: Sequence[Table]) -> dict[str, Any]:
    return {"terms": run.terms, "method": run.expression, "seeds": len(run.seeds), "there": len(seeds_there(run, tables)),
            "cost": run.cost, "command": run.command}


def _bytes(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None
