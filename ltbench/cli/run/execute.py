"""Execute or describe what was typed."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.cli.run.jobs import check_jobs, run_jobs
from ltbench.cli.run.slurm import check_launcher, submit
from ltbench.errors import UserError
from ltbench.planning.matrix import find_weights, plan_matrix
from ltbench.planning.shards import parse_shard, part
from ltbench.running.launch import check_processes, describe_split
from ltbench.running.setup import Matrix, make_runner, warn
from ltbench.running.tracking import require

if TYPE_CHECKING:
    from ltbench.planning.plan import RunPlan
    from ltbench.running.runner import Runner

def execute(args: argparse.Namespace) -> int:
    """Plan, then execute or describe."""
    started_by = os.getppid()  # before torch is loaded, which takes seconds: should it be gone by then, nobody else would notice
    check_processes(os.environ)
    check_values(args)
    check_launcher(args)
    if args.jobs > 1 and args.launcher is None:
        check_jobs(args)
    matrix = plan(args)
    if not matrix.plans:
        print(f"shard {args.shard} is empty: the matrix has fewer runs than shards", file=sys.stderr)
        return 0
    if args.launcher is not None and not args.dry_run:
        return submit(args, matrix.plans)
    if args.jobs > 1 and not args.dry_run:
        warn(args)
        statuses = run_jobs(args, matrix.plans, one_thread=matrix.tiny)
        print_tables(args.out, matrix.plans)
        return 1 if "failed" in statuses else 0
    from ltbench.training.watch import watching

    with watching(started_by, debug=args.debug) as watch:
        runner = make_runner(args, matrix, watch=watch)
        if not args.dry_run:
            return run_plans(args, runner, matrix.plans)
        from ltbench.running.estimate import print_plan

        with nullcontext() if runner.accelerator.is_main_process else redirect_stdout(None):
            print_plan(matrix.plans, runner)
        return 0


def prepare(args: argparse.Namespace) -> tuple[Runner, list[RunPlan]]:
    """Plan what was typed, and make what runs it.

    Raises:
        UserError: For anything that cannot work.
    """
    check_values(args)
    matrix = plan(args)
    return make_runner(args, matrix), matrix.plans


def check_values(args: argparse.Namespace) -> None:
    """Refuse values that no run can have.

    Raises:
        UserError: Naming the option.
    """
    for name in ("epochs", "batch_size", "lr", "image_size", "accumulate", "threads", "jobs", "slurm_jobs"):
        value = getattr(args, name, None)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UserError(f"--{name.replace('_', '-')} must be > 0, got {value}")
    if args.weight_decay is not None and not (math.isfinite(args.weight_decay) and args.weight_decay >= 0):
        raise UserError(f"--weight-decay must be >= 0, got {args.weight_decay}")
    if not (math.isfinite(args.test_noise) and args.test_noise >= 0):
        raise UserError(f"--test-noise must be >= 0, got {args.test_noise}")
    if args.threads is not None and args.threads > (os.cpu_count() or 1):
        raise UserError(f"--threads must be at most the {os.cpu_count()} cores, got {args.threads}")
    for name in ("methods", "dataset"):
        if not getattr(args, name).strip():
            raise UserError(f"--{name} must not be empty")
    if args.track_with is not None:
        require(args.track_with)


def plan(args: argparse.Namespace) -> Matrix:
    """Return what is to be run of what was typed: one shard of it, where one is asked for.

    Args:
        args: As this verb's parser reads them, with the registry.

    Raises:
        UserError: For anything that cannot work.
    """
    shard = None if args.shard is None else parse_shard(args.shard)
    weights = find_weights(args)
    datasets, plans = plan_matrix(args, weights)
    return Matrix(datasets, plans if shard is None else part(plans, shard), weights)


def run_plans(args: argparse.Namespace, runner: Runner, plans: Sequence[RunPlan]) -> int:
    """Run plans, print their tables, and return the exit code.

    Args:
        args: As this verb's parser reads them.
        runner: Of :func:`make_runner`.
        plans: What to run.
    """
    accelerator = runner.accelerator
    split = describe_split(plans, accelerator.num_processes, args.accumulate)
    if split and accelerator.is_main_process:
        print(f"ltbench: {split}", file=sys.stderr)
    results = runner.run(plans)
    accelerator.wait_for_everyone()  # nobody leaves, and takes the connection along, while others are at work
    if not accelerator.is_main_process:
        return 0
    print_tables(args.out, plans)
    return 1 if any(record["status"] == "failed" for record in results) else 0


def print_tables(out: Path, plans: Sequence[RunPlan]) -> None:
    """Print the tables of what has a record.

    Args:
        out: Folder of the records.
        plans: The matrix.
    """
    from ltbench.leaderboard.collect import collect
    from ltbench.leaderboard.tables import render
    from ltbench.results import records

    paths = [out / f"{plan.file_name}.json" for plan in plans]
    tables, problems = collect([records.Stored(path, records.read(path)) for path in paths if path.is_file()])
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    print(render(tables, "md"), end="")
