"""``ltbench run``: train and evaluate a matrix of methods, datasets and seeds."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from ltbench.cli.run.options import SEEDS, add_cluster, add_custom, add_matrix, add_place, add_terms, request_of
from ltbench.errors import UserError
from ltbench.planning.request import ALL, DEFAULT_DATASET, Request
from ltbench.terms.shots import USUAL

# What a board says, and how these options read where nobody typed them.
_OF_A_BOARD = {"methods": ALL, "dataset": DEFAULT_DATASET, "seeds": SEEDS, "split_seeds": "0", "track": "common",
               "protocol": None, "paper": None, "precision": "fp32", "init": None, "tune": None, "splits": USUAL,
               "out": Path("runs")}


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
    started_by = os.getppid()  # before anything loads torch
    from ltbench.cli.run.execute import execute
    from ltbench.cli.run.slurm import slurm_of

    typed, slurm = request_of(args), slurm_of(args)
    requests = [typed] if args.board is None else _of_board(args, typed)
    return max(execute(request, args.registry, started_by=started_by, slurm=slurm) for request in requests)


def _of_board(args: argparse.Namespace, typed: Request) -> list[Request]:
    """Return what a board asks for, each matrix with what was typed beside it."""
    from ltbench.leaderboard.board import read_board

    board = read_board(args.board)
    for name, default in _OF_A_BOARD.items():
        if getattr(args, name) != default:
            raise UserError(f"--board says what is run: leave out --{name.replace('_', '-')}")
    return [Request(replace(typed.what, methods=asked.what.methods, datasets=asked.what.datasets, seeds=asked.what.seeds,
                            split_seeds=asked.what.split_seeds),
                    replace(typed.terms, track=asked.terms.track, protocol=asked.terms.protocol, paper=asked.terms.paper,
                            precision=asked.terms.precision, init=asked.terms.init, tune=asked.terms.tune,
                            splits=asked.terms.splits),
                    replace(typed.how, out=asked.how.out), typed.plugins, typed.no_plugins) for asked in board.requests]
