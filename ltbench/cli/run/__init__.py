"""``ltbench run``: train and evaluate a matrix of methods, datasets and seeds."""

from __future__ import annotations

import argparse

from ltbench.cli.run.options import add_cluster, add_custom, add_matrix, add_place, add_terms, request_of
from ltbench.planning.request import DEFAULT_DATASET


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
    """Run one matrix, or those that a file tells."""
    from ltbench.cli.run.execute import execute
    from ltbench.cli.run.slurm import slurm_of

    slurm = slurm_of(args)
    if args.config is None and args.board is None:
        requests, registry = [request_of(args)], args.registry
    else:
        from ltbench.cli.run.told import told_requests

        requests, registry = told_requests(args)
    return max(execute(request, registry, slurm) for request in requests)
