"""``ltbench run``: train and evaluate a matrix of methods, datasets and seeds."""

from __future__ import annotations

import argparse
from pathlib import Path

from ltbench.cli.run.options import ALL, DEFAULT_DATASET, DEFAULT_SEEDS, add_cluster, add_custom, add_matrix, add_place, add_terms
from ltbench.errors import UserError

# What a board says, and how these options read where nobody typed them.
_OF_A_BOARD = {"methods": ALL, "dataset": DEFAULT_DATASET, "seeds": DEFAULT_SEEDS, "split_seeds": "0", "track": "common",
               "protocol": None, "precision": "fp32", "out": Path("runs")}


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser(
        "run", help="train and evaluate methods",
        description="Train and evaluate every method on every dataset with every seed; what has a record already is not run "
                    f"again. Without arguments: every installed method, three seeds, {DEFAULT_DATASET}.")
    for add in (add_matrix, add_terms, add_custom, add_place, add_cluster):
        add(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run one matrix, or those of a board."""
    from ltbench.cli.run.execute import execute

    if args.board is None:
        return execute(args)
    from ltbench.leaderboard.board import read_board

    board = read_board(args.board)
    for name, default in _OF_A_BOARD.items():
        if getattr(args, name) != default:
            raise UserError(f"--board says what is run: leave out --{name.replace('_', '-')}")
    codes = []
    for matrix in board.matrices:
        asked = {"methods": ",".join(matrix.methods), "dataset": ",".join(matrix.datasets), "track": matrix.track,
                 "seeds": ",".join(map(str, matrix.seeds)), "split_seeds": ",".join(map(str, matrix.split_seeds)),
                 "protocol": matrix.protocol, "precision": matrix.precision, "out": board.results}
        codes.append(execute(argparse.Namespace(**{**vars(args), **asked})))
    return max(codes)
