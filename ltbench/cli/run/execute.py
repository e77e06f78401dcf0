"""Execute or describe what was typed."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.cli.run.jobs import check_jobs, run_jobs
from ltbench.cli.run.matrix import find_weights, plan_matrix
from ltbench.cli.run.slurm import check_launcher, submit
from ltbench.errors import UserError
from ltbench.settings import cache_limit, cache_root, data_root
from ltbench.shards import parse_shard, part

if TYPE_CHECKING:
    from ltbench.data.base import Dataset
    from ltbench.observers import Observers
    from ltbench.plan import RunPlan
    from ltbench.pretraining import Weights
    from ltbench.runner import Runner

# Up to this side, threads only wait for each other. A step on digits took 2.8 ms on one thread and 2.6 ms on two; where another
# program held a core, 2.8 ms and 49 ms.
_TINY = 16


@dataclass(frozen=True)
class Matrix:
    """Hold what is to be run.

    Args:
        datasets: By name.
        plans: The runs.
        weights: Of a frozen backbone that stands for the first stage, or None.
    """

    datasets: dict[str, Dataset]
    plans: list[RunPlan]
    weights: Weights | None

    @property
    def tiny(self) -> bool:
        """Whether more threads than one would only wait for each other."""
        return all(dataset.image_size <= _TINY for dataset in self.datasets.values())


def execute(args: argparse.Namespace) -> int:
    """Plan, then execute or describe."""
    for name in ("epochs", "batch_size", "lr", "image_size", "accumulate", "threads", "jobs", "slurm_jobs"):
        value = getattr(args, name)
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
    check_launcher(args)
    if args.jobs > 1 and args.launcher is None:
        check_jobs(args)
    matrix = plan(args)
    for problem in args.registry.problems:
        print(f"warning: {problem}", file=sys.stderr)
    if not matrix.plans:
        print(f"shard {args.shard} is empty: the matrix has fewer runs than shards", file=sys.stderr)
        return 0
    if args.launcher is not None and not args.dry_run:
        return submit(args, matrix.plans)
    if args.jobs > 1 and not args.dry_run:
        statuses = run_jobs(args, matrix.plans, one_thread=matrix.tiny)
    else:
        runner = make_runner(args, matrix)
        if args.dry_run:
            from ltbench.estimate import print_plan

            print_plan(matrix.plans, runner)
            return 0
        statuses = [record["status"] for record in runner.run(matrix.plans)]
        if not runner.accelerator.is_main_process:
            return 0
    print_tables(args.out, matrix.plans)
    return 1 if "failed" in statuses else 0


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


def make_runner(args: argparse.Namespace, matrix: Matrix, observers: Observers | None = None) -> Runner:
    """Set this process up for training.

    Args:
        args: As this verb's parser reads them, with the registry.
        matrix: What is to be run.
        observers: Told what happens; those of the registry's plugins, if there are no others.

    Raises:
        UserError: For a precision, or processes, that do not work here.
    """
    import torch

    from ltbench.run_options import Options
    from ltbench.runner import Runner
    from ltbench.training.distributed import make_accelerator
    from ltbench.training.store import StageStore

    torch.set_flush_denormal(True)  # peaky softmaxes are several times slower without; before the first parallel operation
    if args.threads is not None or (matrix.tiny and "OMP_NUM_THREADS" not in os.environ):
        torch.set_num_threads(args.threads or 1)
    precision = {"fp32": "no"}.get(args.precision, args.precision)
    try:
        accelerator = make_accelerator(precision, cpu=args.cpu or not torch.cuda.is_available())
    except ValueError as error:
        raise UserError(f"processes or precision {args.precision} do not work here: {error}") from error
    if os.environ.get("WORLD_SIZE", "1") != str(accelerator.num_processes):
        raise UserError(f"WORLD_SIZE is {os.environ['WORLD_SIZE']} but {accelerator.num_processes} process runs; use torchrun")
    options = Options(args.out, data_root(args.data_root), args.download, args.accumulate, args.stage1, matrix.weights,
                      args.rerun, args.debug, args.keep, planning=args.dry_run, skip_unreadable=args.unreadable == "skip")
    store = StageStore(cache_root(args.cache), cache_limit())
    return Runner(args.registry, accelerator, store, matrix.datasets, options, observers)


def print_tables(out: Path, plans: Sequence[RunPlan]) -> None:
    """Print the tables of what has a record.

    Args:
        out: Folder of the records.
        plans: The matrix.
    """
    from ltbench import records
    from ltbench.leaderboard.collect import collect
    from ltbench.leaderboard.tables import render

    paths = [out / f"{plan.file_name}.json" for plan in plans]
    tables, problems = collect([records.Stored(path, records.read(path)) for path in paths if path.is_file()])
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    print(render(tables, "md"), end="")
