"""From planned runs to what executes them."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltbench.errors import UserError
from ltbench.running.launch import check_world
from ltbench.running.tracking import NAME, Tracking
from ltbench.system.settings import cache_limit, cache_root, data_root

if TYPE_CHECKING:
    from ltbench.backbones.pretrained import Weights
    from ltbench.data.base import Dataset
    from ltbench.planning.plan import RunPlan
    from ltbench.running.observers import Observers
    from ltbench.running.runner import Runner
    from ltbench.training.watch import Watch

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


def warn(args: argparse.Namespace) -> None:
    """Name the plugins that do not work."""
    for problem in args.registry.problems:
        print(f"warning: {problem}", file=sys.stderr)


def track(args: argparse.Namespace) -> None:
    """Let a tracker observe, if the user named one; the matrices of a board share it."""
    if args.track_with is not None and not args.registry.manager.has_plugin(NAME):
        args.registry.manager.register(Tracking(args.track_with, args.track_dir), NAME)


def make_runner(args: argparse.Namespace, matrix: Matrix, observers: Observers | None = None,
                watch: Watch | None = None) -> Runner:
    """Make what runs plans, with threads and precision as asked.

    Args:
        args: As this verb's parser reads them, with the registry.
        matrix: What is to be run.
        observers: Told what happens; those of the registry's plugins, if there are no others.
        watch: Over the processes of the run, where there are several.

    Raises:
        UserError: If processes or precision do not work here.
    """
    if observers is None:
        warn(args)
        track(args)

    import torch

    from ltbench.running.options import Options
    from ltbench.running.runner import Runner
    from ltbench.running.toolchain import compiler_problem
    from ltbench.training.agreement import require_same_plans, require_shared
    from ltbench.training.distributed import make_accelerator
    from ltbench.training.store import StageStore

    if args.compile and (problem := compiler_problem()):
        raise UserError(f"--compile does not work here: {problem}")
    torch.set_flush_denormal(True)  # peaky softmaxes are several times slower without; before the first parallel operation
    if args.threads is not None or (matrix.tiny and "OMP_NUM_THREADS" not in os.environ):
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
    require_same_plans([plan.key for plan in matrix.plans], accelerator)
    if not args.dry_run:
        require_shared({"--out": args.out, "--cache": cache}, accelerator)
    options = Options(args.out, data_root(args.data_root), args.download, args.accumulate, args.stage1, matrix.weights,
                      args.rerun, args.debug, args.keep, planning=args.dry_run, skip_unreadable=args.unreadable == "skip",
                      sync_batch_norm=args.sync_batch_norm, compiles=args.compile)
    store = StageStore(cache, cache_limit())
    return Runner(args.registry, accelerator, store, matrix.datasets, options, observers)
