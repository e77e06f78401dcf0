"""Execute or describe what was typed."""

from __future__ import annotations

import argparse
import math
import os
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.cli.run.launch import check_launcher, check_world, describe_split
from ltbench.cli.run.matrix import find_weights, plan_matrix
from ltbench.errors import UserError
from ltbench.settings import cache_limit, cache_root, data_root

if TYPE_CHECKING:
    from ltbench.data.base import Dataset
    from ltbench.plan import RunPlan
    from ltbench.pretraining import Weights
    from ltbench.training.watch import Watch

# Up to this side, threads only wait for each other. A step on digits took 2.8 ms on one thread and 2.6 ms on two; where another
# program held a core, 2.8 ms and 49 ms.
_TINY = 16


def execute(args: argparse.Namespace) -> int:
    """Plan, then execute or describe."""
    launcher = os.getppid()  # before torch is loaded, which takes seconds: should it be gone by then, nobody else would notice
    check_launcher(os.environ)
    for name in ("epochs", "batch_size", "lr", "image_size", "accumulate", "threads"):
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
    weights = find_weights(args)
    datasets, plans = plan_matrix(args, weights)
    for problem in args.registry.problems:
        print(f"warning: {problem}", file=sys.stderr)

    from ltbench.training.watch import watching

    with watching(launcher, debug=args.debug) as watch:
        return _execute(args, weights, datasets, plans, watch)


def _execute(args: argparse.Namespace, weights: Weights | None, datasets: dict[str, Dataset], plans: list[RunPlan],
             watch: Watch | None) -> int:
    import torch

    from ltbench.run_options import Options
    from ltbench.runner import Runner
    from ltbench.training.agreement import require_same_plans, require_shared
    from ltbench.training.distributed import make_accelerator
    from ltbench.training.store import StageStore

    torch.set_flush_denormal(True)  # peaky softmaxes are several times slower without; before the first parallel operation
    tiny = all(dataset.image_size <= _TINY for dataset in datasets.values())
    if args.threads is not None or (tiny and "OMP_NUM_THREADS" not in os.environ):
        torch.set_num_threads(args.threads or 1)
    precision = {"fp32": "no"}.get(args.precision, args.precision)
    try:
        accelerator = make_accelerator(precision, cpu=args.cpu or not torch.cuda.is_available())
    except ValueError as error:
        raise UserError(f"processes or precision {args.precision} do not work here: {error}") from error
    check_world(os.environ, accelerator.num_processes)
    if watch is not None:
        watch.meet()
    if args.sync_batch_norm and accelerator.device.type != "cuda":
        raise UserError(f"--sync-batch-norm needs CUDA devices, got {accelerator.device.type}")
    cache = cache_root(args.cache)
    require_same_plans([plan.key for plan in plans], accelerator)
    if not args.dry_run:
        require_shared({"--out": args.out, "--cache": cache}, accelerator)
    options = Options(args.out, data_root(args.data_root), args.download, args.accumulate, args.stage1, weights, args.rerun,
                      args.debug, args.keep, planning=args.dry_run, skip_unreadable=args.unreadable == "skip",
                      sync_batch_norm=args.sync_batch_norm)
    runner = Runner(args.registry, accelerator, StageStore(cache, cache_limit()), datasets, options)
    if args.dry_run:
        from ltbench.estimate import print_plan

        with nullcontext() if accelerator.is_main_process else redirect_stdout(None):
            print_plan(plans, runner)
        return 0
    split = describe_split(plans, accelerator.num_processes, args.accumulate)
    if split and accelerator.is_main_process:
        print(f"ltbench: {split}", file=sys.stderr)
    results = runner.run(plans)
    accelerator.wait_for_everyone()  # nobody leaves, and takes the connection along, while others are at work
    if not accelerator.is_main_process:
        return 0
    _print_tables([args.out / f"{plan.file_name}.json" for plan in plans])
    return 1 if any(record["status"] == "failed" for record in results) else 0


def _print_tables(paths: list[Path]) -> None:
    from ltbench import records
    from ltbench.leaderboard.collect import collect
    from ltbench.leaderboard.tables import render

    tables, problems = collect([records.Stored(path, records.read(path)) for path in paths if path.is_file()])
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    print(render(tables, "md"), end="")
