"""``ltbench compare``: the paired difference of two methods, from their predictions."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.errors import UserError

if TYPE_CHECKING:
    from ltbench.leaderboard.comparison import ClassChange, Comparison
    from ltbench.leaderboard.differences import Difference
    from ltbench.leaderboard.opponents import Opponent

NOTHING = "—"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    about = ("Compare two methods over the seeds that both have: B minus A by split with a 95 % interval over seeds and test "
             "images, and the classes that gain and lose most. Only what had equal terms is compared. The exit code is 1 if a "
             "record of the folder is broken or contradicts another.")
    parser = commands.add_parser("compare", help="compare two methods", description=about)
    for name, role in (("first", "the baseline"), ("second", "the other method")):
        parser.add_argument(name, metavar="AB"[name == "second"],
                            help=f"{role}: an expression as a table's column 'method' shows it, or a record's JSON file")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--records", metavar="DIR", default="runs", help="folder of records (default: runs)")
    place.add_argument("--board", metavar="DIR", help="folder of a board, whose records are in its folder 'results'")
    parser.add_argument("--classes", type=int, default=5, metavar="N", help="classes to name that gain, and that lose (5)")
    parser.add_argument("--json", action="store_true", help="print JSON: one entry for each set of terms that A and B share")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print one comparison for each set of terms on which both were run."""
    from ltbench.leaderboard.comparison import compare
    from ltbench.leaderboard.opponents import match
    from ltbench.results.class_names import names_of_record
    from ltbench.results.text import printable

    if args.classes < 0:
        raise UserError(f"--classes must be >= 0, got {args.classes}")
    directory = Path(args.board) / "results" if args.board else Path(args.records)
    (first, second), problems = _find([args.first, args.second], directory)
    named = functools.partial(names_of_record, registry=args.registry)
    comparisons = [compare(*pair, classes=args.classes, named=named) for pair in match(first, second)]
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    if args.json:
        print(json.dumps([dataclasses.asdict(one) for one in comparisons], sort_keys=True, indent=1))
    else:
        print("\n\n".join("\n".join(printable(line) for line in _lines(one)) for one in comparisons))
    return 1 if problems else 0


def _find(names: Sequence[str], directory: Path) -> tuple[list[list[Opponent]], list[str]]:
    """Find what each name means; the folder is read only if one of them is no file."""
    from ltbench.leaderboard.opponents import find, from_file, is_file, opponents
    from ltbench.results.records import read_directory

    known: list[Opponent] = []
    problems: list[str] = []
    if not all(is_file(name) for name in names):
        stored, problems = read_directory(directory)
        known, contradictions = opponents(stored)
        problems += map(str, contradictions)
        if not known:
            raise UserError(f"record folder must hold at least one completed run, got {directory}")
    return [[from_file(Path(name))] if is_file(name) else find(name, known) for name in names], problems


def _lines(one: Comparison) -> Iterator[str]:
    from ltbench.leaderboard.rows import few_seeds, name_runs

    yield f"A: {one.first}"
    yield f"B: {one.second}"
    yield one.terms
    yield f"paired over {name_runs(one.runs)}; {one.test_images:,} test images"
    if one.resamples:
        yield f"intervals: 95 %, {one.resamples:,} resamples of seeds and of test images within their class"
    else:
        known = "nothing" if len(one.runs) == 1 else "too little"
        yield f"{few_seeds(len(one.runs))}: no interval and no p-value, for {known} is known of other seeds"
    yield from (f"left out: {line}" for line in one.left_out)
    if one.tested:
        yield f"figures are {one.tested}"
    yield ""
    header = ["split", "A", "B", "B - A", "95 % interval", "p"]
    yield from _table(header, [_row(difference) for difference in one.differences])
    for title, classes in (("gain", one.gaining), ("lose", one.losing)):
        if classes:
            yield ""
            yield from _table([f"classes that {title} most", "training images", "A", "B", "B - A"],
                              [_class_row(change) for change in classes])


def _row(one: Difference) -> list[str]:
    interval = NOTHING if one.interval is None else f"{one.interval[0]:+.2f} to {one.interval[1]:+.2f}"
    p = NOTHING if one.p is None else f"{one.p:.4f}" if one.p >= 0.0001 else "< 0.0001"
    return [one.split, f"{one.first:.2f}", f"{one.second:.2f}", f"{one.value:+.2f}", interval, p]


def _class_row(one: ClassChange) -> list[str]:
    label = str(one.label) if one.name in (None, str(one.label)) else f"{one.label} {one.name}"
    return [label, str(one.training_images), f"{one.first:.1f}", f"{one.second:.1f}", f"{one.change:+.1f}"]


def _table(header: list[str], rows: list[list[str]]) -> Iterator[str]:
    from tabulate import tabulate

    align = ["left", *["right"] * (len(header) - 1)]
    yield from tabulate(rows, headers=header, colalign=align, disable_numparse=True).splitlines()
