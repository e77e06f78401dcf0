"""``ltbench board``: make a board of one's own."""

from __future__ import annotations

import argparse
from pathlib import Path

from ltbench.cli.run.options import add_cluster, add_custom, add_matrix, add_place, add_terms
from ltbench.errors import UserError

_TOLERANCE = 1.0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its action."""
    parser = commands.add_parser("board", help="make a board of your own",
                                 description="A board is a folder that says what is compared, with the records and a page.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    new = actions.add_parser(
        "new", help="write a board to start from",
        description="Write the folder of a board: board.toml, which says what is compared, by the options of ltbench run (or by "
                    "an experiment's file, with --config), and a README that says what comes next. Without --methods it "
                    "compares the base method, and you add yours to board.toml.")
    new.add_argument("folder", type=Path, metavar="FOLDER", help="a new folder; its name is the board's")
    new.add_argument("--title", metavar="TEXT", help="the heading (default: the folder's name)")
    new.add_argument("--tolerance", type=float, default=_TOLERANCE, metavar="POINTS",
                     help=f"within which a difference from a printed figure counts as reproduced (default: {_TOLERANCE:g})")
    for add in (add_matrix, add_terms, add_custom, add_place, add_cluster):
        add(new)
    new.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Plan what is asked for, so that no board asks for what cannot run, and write the folder."""
    from ltbench.cli.run.told import left_out, told_experiment, typed_experiment
    from ltbench.leaderboard.new_board import new_board
    from ltbench.planning.experiment import checked, requests_of
    from ltbench.planning.matrix import plan_matrix

    if args.board is not None:
        raise UserError(f"--board is another board's: type --config {args.board}/board.toml to start from it")
    for option in (*left_out(args), *(["--out"] if "out" in args.typed else [])):
        raise UserError(f"{option} is no part of a board: leave it out here, and type it when the board is run")
    if args.config is None and "methods" not in args.typed:
        args.methods = args.registry.base_method
    experiment, where = typed_experiment(args) if args.config is None else told_experiment(args)
    content = experiment.model_dump(exclude_unset=True)
    content = {"title": args.title or args.folder.resolve().name, "tolerance": args.tolerance, **content}
    content.update({name: getattr(args, name) for name in ("title", "tolerance") if name in args.typed})
    content.pop("out", None)
    plugins = [Path(name) for name in experiment.plugin]
    if plugins:
        content["plugin"] = [file.name for file in plugins]
    experiment = checked(content, where)
    plans = [plan for request in requests_of(experiment, where) for plan in plan_matrix(request, args.registry).plans]
    for file in new_board(args.folder, experiment, plugins):
        print(file)
    runs = f"{len(plans)} run{'s' if len(plans) != 1 else ''}"
    print(f"\nltbench run --board {args.folder}   # {runs}; edit board.toml before the first\n"
          f"ltbench leaderboard {args.folder}   # then its tables and its page, {args.folder / 'index.html'}")
    return 0
