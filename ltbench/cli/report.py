"""``ltbench report``: the page of any folder of records."""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

from ltbench.errors import UserError


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    about = ("Write one HTML file that opens offline in any browser: tables with intervals, figures, and every run behind a row. "
             "What is not sound is named and left out, and the exit code is then 1.")
    parser = commands.add_parser("report", help="make the page of a folder of records", description=about)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs"), metavar="FOLDER",
                        help="folder of records, or a board (default: runs)")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="the page (default: FOLDER/report.html)")
    parser.add_argument("--title", metavar="TEXT", help="the heading (default: the folder's name)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the page."""
    from ltbench.leaderboard.report import report
    from ltbench.results.class_names import names_of_record
    from ltbench.results.records import read_directory
    from ltbench.system.atomic import write_whole

    stored, broken = read_directory(args.folder)
    page, problems = report(stored, args.title or args.folder.resolve().name, args.registry.remarks,
                            functools.partial(names_of_record, registry=args.registry))
    for problem in [*broken, *problems]:
        print(f"warning: {problem}", file=sys.stderr)
    target = args.out or args.folder / "report.html"
    try:
        write_whole(target, page.encode("utf-8"), durable=False)
    except OSError as error:
        raise UserError(f"--out must be a writable file, got {str(target)!r}: {error.strerror}") from None
    print(f"{target} written")
    return 1 if broken or problems else 0
