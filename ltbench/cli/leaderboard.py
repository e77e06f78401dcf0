"""``ltbench leaderboard``: tables of records."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.errors import UserError
from ltbench.leaderboard import FORMATS

if TYPE_CHECKING:
    from ltbench.records import Stored


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    about = ("Make one table for each set of records that had equal terms: mean ± 95 %% interval over runs. The exit code is 1 "
             "if a record is broken or contradicts another.")
    parser = commands.add_parser("leaderboard", help="make tables of records", description=about)
    parser.add_argument("directories", nargs="*", metavar="DIR", default=["runs"], help="folders of records (default: runs)")
    parser.add_argument("--format", choices=FORMATS, default="md", help="markdown (default), JSON, CSV or LaTeX (booktabs)")
    parser.add_argument("--out", metavar="FILE", help="write there instead of to the screen")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show the sound records, and name the others on stderr."""
    from ltbench.leaderboard.collect import collect
    from ltbench.leaderboard.tables import render

    stored, problems = _read([Path(directory) for directory in args.directories])
    tables, contradictions = collect(stored)
    problems += contradictions
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    if not tables:
        raise UserError(f"record folder must hold at least one usable record, got {', '.join(args.directories)}")
    text = render(tables, args.format)
    if args.out:
        _write(Path(args.out), text)
    else:
        print(text, end="")
    return 1 if problems else 0


def _read(directories: Sequence[Path]) -> tuple[list[Stored], list[str]]:
    """Read folders, one of which may lie in another: each file counts once."""
    from ltbench.records import read_directory

    stored: dict[Path, Stored] = {}
    problems: dict[str, None] = {}
    for directory in directories:
        found, broken = read_directory(directory)
        for item in found:
            stored.setdefault(item.path.resolve(), item)
        problems |= dict.fromkeys(broken)
    return list(stored.values()), list(problems)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UserError(f"--out must be a writable file, got {path}: {error.strerror}") from None
