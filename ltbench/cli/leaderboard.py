"""``ltbench leaderboard``: tables of records, and the files that boards publish."""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.errors import UserError
from ltbench.leaderboard import FORMATS

if TYPE_CHECKING:
    from ltbench.leaderboard.board import Board
    from ltbench.results.records import Stored

BOARDS, RUNS = "leaderboards", "runs"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    about = ("Regenerate boards (folders with a board.toml), or print one table for each set of records that had equal terms: "
             "mean ± 95 % interval over runs. The exit code is 1 if a record is broken, contradicts another or does not follow "
             "from its predictions, or if --check finds a board that is not as its records say.")
    parser = commands.add_parser("leaderboard", help="make tables of records, regenerate boards", description=about)
    parser.add_argument("directories", nargs="*", metavar="DIR",
                        help=f"boards, or folders of records (default: every board in {BOARDS}, or else {RUNS})")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a board is not as its records say")
    parser.add_argument("--diff", type=Path, metavar="BASE",
                        help="write nothing; print what changes against the boards of another folder, as markdown")
    parser.add_argument("--reported", metavar="FILE",
                        help="printed figures; claims.toml and runs.csv lie beside (default: reported.csv beside the board)")
    parser.add_argument("--format", choices=FORMATS, help="of records: markdown (default), JSON, CSV or LaTeX (booktabs)")
    parser.add_argument("--out", metavar="FILE", help="write the tables of records there instead of to the screen")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Publish boards, or show records."""
    from ltbench.leaderboard.board import FILE, find_boards, read_board

    folders = [Path(directory) for directory in args.directories]
    if not folders and (boards := find_boards(Path(BOARDS))):
        return _publish(boards, args)
    folders = folders or [Path(RUNS)]
    described = [folder for folder in folders if (folder / FILE).is_file()]
    if described and described != folders:
        raise UserError("boards and folders of records must not be mixed, got " + ", ".join(map(str, folders)))
    if described:
        return _publish([read_board(folder) for folder in described], args)
    if args.check or args.diff is not None:
        option = "--check" if args.check else "--diff"
        raise UserError(f"{option} must be given boards (folders with {FILE}), got {', '.join(map(str, folders))}")
    return _show(folders, args)


def _publish(boards: Sequence[Board], args: argparse.Namespace) -> int:
    """Regenerate boards, or say only which file is not as it should be (--check) or which rows change (--diff)."""
    from ltbench.leaderboard.diff import changes, read_base, to_markdown
    from ltbench.leaderboard.given import read_given
    from ltbench.leaderboard.publish import generate, generate_index
    from ltbench.results.class_names import names_of_record

    if args.diff is not None and not args.diff.is_dir():
        raise UserError(f"--diff must be a folder of boards, got {str(args.diff)!r}")
    if args.format or args.out:
        raise UserError(f"--{'format' if args.format else 'out'} is for folders of records: a board has files of its own")
    named = functools.partial(names_of_record, registry=args.registry)
    changed, made = 0, []
    for board in boards:
        given = read_given(board.folder.parent, Path(args.reported) if args.reported else None)
        files = generate(board, given, args.registry.remarks, named)
        if args.diff is not None:
            before = read_base(args.diff / board.name / "board.json")
            print(to_markdown(board.name, changes(before, json.loads(files["board.json"]))))
            continue
        made.append(files)
        changed += _written(board.folder, f"{board.name}/", files, args.check)
    # The page over all boards is of them all: one board alone does not change it.
    if made and not args.directories:
        changed += _written(Path(BOARDS), "", generate_index(made), args.check)
    return 1 if args.check and changed else 0


def _written(folder: Path, name: str, files: Mapping[str, bytes], check: bool) -> int:
    """Write generated files, or only look whether they are as they should be; say so, and return how many were not."""
    from ltbench.leaderboard.publish import differing, write

    names = differing(folder, files) if check else write(folder, files)
    for file in names:
        print(f"{name}{file} {'is not as its records say' if check else 'written'}")
    if not names:
        print(f"{name.rstrip('/') or 'the page over all boards'}: "
              f"{f'all {len(files)} files are' if len(files) > 1 else 'is'} as its records say")
    return len(names)


def _show(folders: Sequence[Path], args: argparse.Namespace) -> int:
    """Show the sound records, and name the others on stderr."""
    from ltbench.leaderboard.collect import collect
    from ltbench.leaderboard.sound import sound
    from ltbench.leaderboard.tables import render
    from ltbench.results.records import without_predictions

    stored, broken = _read(folders)
    stored, edited = sound(stored)
    tables, contradictions = collect(stored, args.registry.remarks)
    problems = [*broken, *edited, *map(str, contradictions)]
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    if bare := sum(map(without_predictions, stored)):
        print(f"warning: {bare} of {len(stored)} records have no predictions beside them: their figures cannot be recomputed",
              file=sys.stderr)
    if not tables:
        raise UserError(f"record folder must hold at least one usable record, got {', '.join(map(str, folders))}")
    text = render(tables, args.format or "md")
    if args.out:
        _write(Path(args.out), text)
    else:
        print(text, end="")
    return 1 if problems else 0


def _read(directories: Sequence[Path]) -> tuple[list[Stored], list[str]]:
    """Read folders, one of which may lie in another: each file counts once."""
    from ltbench.results.records import read_directory

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
