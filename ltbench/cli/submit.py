"""``ltbench submit``: what a pull request with records holds, and what its check will say."""

from __future__ import annotations

import argparse
import functools
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.cli.leaderboard import BOARDS
from ltbench.system.settings import data_root

if TYPE_CHECKING:
    from ltbench.leaderboard.board import Board
    from ltbench.trust.submission import Submission

# Of ltbench's own repository: what else is made from the boards.
_PAGES = ("tools/board_pages.py", "tools/comparing_page.py")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    about = ("Copy the records of a folder into a board's results, regenerate the board, and say what to commit and what the "
             "check of a pull request will say. A record that it would refuse is named, and then nothing is copied. Nothing is "
             "uploaded. The exit code is 1 if a record is refused.")
    parser = commands.add_parser("submit", help="prepare a pull request with records", description=about)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of records")
    parser.add_argument("--board", type=Path, required=True, metavar="DIR", help="the board, in a checkout of its repository")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the data, to check splits against (also LTBENCH_DATA)")
    parser.add_argument("--dry-run", action="store_true", help="check, and copy nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check, copy, regenerate, and say what comes next."""
    from ltbench.leaderboard.board import read_board
    from ltbench.trust.ground import Ground
    from ltbench.trust.submission import copy, prepare

    board = read_board(args.board)
    submission = prepare(args.folder, board, args.registry, Ground(args.registry, data_root(args.data_root)))
    _tell(submission)
    if submission.refused:
        print("nothing was copied: the check of a pull request would refuse these records")
        return 1
    if args.dry_run or not submission.new:
        print("nothing was copied" + ("" if args.dry_run else ": the board holds all of them"))
        return 0
    count = copy(submission, board)
    print(f"{count} files copied to {board.results}")
    _regenerate(board, args)
    _next(board)
    return 0


def _tell(submission: Submission) -> None:
    """Say what the check says of the new records, and what is not submitted."""
    for path, remarks in submission.remarks.items():
        for remark in remarks:
            print(remark.line(path))
    for reason, count in Counter(submission.left_out.values()).items():
        print(f"left out: {count} record{'s' if count != 1 else ''}: {reason}")
    for row in sorted(submission.unasked):
        print(f"note: board.toml does not ask for {row}")
    known = f"; {submission.known} are on the board already" if submission.known else ""
    print(f"{len(submission.new)} new records{known}")


def _regenerate(board: Board, args: argparse.Namespace) -> None:
    """Write the board and the page over all boards anew, and print the rows that change, as the pull request will show them."""
    from ltbench.leaderboard.diff import changes, read_base, to_markdown
    from ltbench.leaderboard.given import read_given
    from ltbench.leaderboard.publish import generate, refresh_index, write
    from ltbench.results.class_names import names_of_record

    before = read_base(board.folder / "board.json")
    named = functools.partial(names_of_record, registry=args.registry)
    files = generate(board, read_given(board.folder.parent), args.registry.remarks, named)
    for name in write(board.folder, files):
        print(f"{board.folder / name} written")
    if _index(board) is not None:
        for name in refresh_index(board.folder.parent):
            print(f"{board.folder.parent / name} written")
    found = changes(before, json.loads(files["board.json"]))
    moved = [change for change in found if change.before != change.after]
    print(f"\n{to_markdown(board.name, moved)}")
    if len(found) > len(moved):
        print(f"{len(found) - len(moved)} more rows change in rank or runs alone\n")


def _index(board: Board) -> Path | None:
    """Return the page over all boards; None where a board is not among those that ``ltbench leaderboard`` makes it of."""
    from ltbench.leaderboard.publish import INDEX

    page = board.folder.parent / INDEX
    return page if board.folder.resolve().parent.name == BOARDS and page.is_file() else None


def _next(board: Board) -> None:
    """Say what to commit, in order, and what the check of the pull request runs."""
    over, index = board.folder.resolve().parent, _index(board)
    pages = [page for page in _PAGES if (over.parent / page).is_file() and over.name == BOARDS]
    made = [board.folder, *([index] if index else []), *(["README.md", "docs"] if pages else [])]
    lines = [f"git add {board.results} && git commit -m 'Records for {board.name}'",
             *(f"python {page}" for page in pages),
             f"git add {' '.join(map(str, made))} && git commit -m 'The board from its records'",
             f"ltbench check {board.folder}                # the pull request's check: no record is refused ...",
             f"ltbench leaderboard {board.folder} --check  # ... and every file is as the records say"]
    print("Next, in the repository of the board:\n\n" + "\n".join(f"  {line}" for line in lines)
          + "\n\nThen push the two commits and open a pull request.")
