"""Execute or describe what was typed."""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path

from ltbench.cli.run.matrix import find_weights, plan_matrix
from ltbench.errors import UserError
from ltbench.settings import cache_limit, cache_root, data_root

# Up to this side, threads only wait for each other. A step on digits took 2.8 ms on one thread and 2.6 ms on two; where another
# program held a core, 2.8 ms and 49 ms.
_TINY = 16


def execute(args: argparse.Namespace) -> int:
    """Plan, then execute or describe."""
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

    import torch

    from ltbench.cli.toolchain import compiler_problem
    from ltbench.run_options import Options
    from ltbench.runner import Runner
    from ltbench.training.distributed import make_accelerator
    from ltbench.training.store import StageStore

    if args.compile and (problem := compiler_problem()):
        raise UserError(f"--compile does not work here: {problem}")
    torch.set_flush_denormal(True)  # peaky softmaxes are several times slower without; before the first parallel operation
    tiny = all(dataset.image_size <= _TINY for dataset in datasets.values())
    if args.threads is not None or (tiny and "OMP_NUM_THREADS" not in os.environ):
        torch.set_num_threads(args.threads or 1)
    precision = {"fp32": "no"}.get(args.precision, args.precision)
    try:
        accelerator = make_accelerator(precision, cpu=args.cpu or not torch.cuda.is_available())
    except ValueError as error:
        raise UserError(f"processes or precision {args.precision} do not work here: {error}") from error
    if os.environ.get("WORLD_SIZE", "1") != str(accelerator.num_processes):
        raise UserError(f"WORLD_SIZE is {os.environ['WORLD_SIZE']} but {accelerator.num_processes} process runs; use torchrun")
    options = Options(args.out, data_root(args.data_root), args.download, args.accumulate, args.stage1, weights, args.rerun,
                      args.debug, args.keep, planning=args.dry_run, skip_unreadable=args.unreadable == "skip",
                      compiles=args.compile)
    runner = Runner(args.registry, accelerator, StageStore(cache_root(args.cache), cache_limit()), datasets, options)
    if args.dry_run:
        from ltbench.estimate import print_plan

        print_plan(plans, runner)
        return 0
    results = runner.run(plans)
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
