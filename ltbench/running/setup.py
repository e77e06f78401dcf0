"""From a request and its plans to what executes them."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from ltbench.errors import UserError
from ltbench.planning.matrix import Planned
from ltbench.planning.request import Request
from ltbench.running.launch import check_world
from ltbench.running.progress import set_up_logging
from ltbench.running.tracking import NAME, Tracking, require
from ltbench.system.settings import cache_limit, cache_root, data_root

if TYPE_CHECKING:
    from ltbench.registry.discovery import Registry
    from ltbench.running.runner import Runner
    from ltbench.training.watch import Watch

# Up to this side, threads only wait for each other. A step on digits took 2.8 ms on one thread and 2.6 ms on two; where another
# program held a core, 2.8 ms and 49 ms.
_TINY = 16


def is_tiny(planned: Planned) -> bool:
    """Tell whether more threads than one would only wait for each other."""
    return all(dataset.image_size <= _TINY for dataset in planned.datasets.values())


def observe(request: Request, registry: Registry) -> None:
    """Begin to log, name the plugins that do not work, and let a tracker observe if the user named one.

    The matrices of a board share it.

    Raises:
        UserError: If the tracker is not installed.
    """
    set_up_logging()
    tracker = request.how.track_with
    if tracker is not None:
        require(tracker)
    for problem in registry.problems:
        print(f"warning: {problem}", file=sys.stderr)
    if tracker is not None and not registry.manager.has_plugin(NAME):
        registry.manager.register(Tracking(tracker, request.how.track_dir), NAME)


def make_runner(request: Request, registry: Registry, planned: Planned, watch: Watch | None = None) -> Runner:
    """Make what runs plans, with threads and precision as asked.

    Args:
        watch: Over the processes of the run, where there are several.

    Raises:
        UserError: If processes or precision do not work here.
    """
    observe(request, registry)

    import torch

    from ltbench.running.runner import Runner
    from ltbench.running.toolchain import compiler_problem
    from ltbench.training.agreement import require_same_plans, require_shared
    from ltbench.training.distributed import make_accelerator
    from ltbench.training.store import StageStore

    how, precision = request.how, request.terms.precision
    if how.compiles and (problem := compiler_problem()):
        raise UserError(f"--compile does not work here: {problem}")
    torch.set_flush_denormal(True)  # peaky softmaxes are several times slower without; before the first parallel operation
    if how.threads is not None or (is_tiny(planned) and "OMP_NUM_THREADS" not in os.environ):
        torch.set_num_threads(how.threads or 1)
    try:
        accelerator = make_accelerator("no" if precision == "fp32" else precision, cpu=how.cpu or not torch.cuda.is_available())
    except ValueError as error:
        raise UserError(f"processes or precision {precision} do not work here: {error}") from error
    check_world(os.environ, accelerator.num_processes)
    if watch is not None:
        watch.meet()
    if how.sync_batch_norm and accelerator.device.type != "cuda":
        raise UserError(f"--sync-batch-norm needs CUDA devices, got {accelerator.device.type}")
    cache = cache_root(how.cache)
    require_same_plans([plan.key for plan in planned.plans], accelerator)
    if not how.dry_run:
        require_shared({"--out": how.out, "--cache": cache}, accelerator)
    how = replace(how, data_root=data_root(how.data_root), cache=cache)
    return Runner(registry, accelerator, StageStore(cache, cache_limit()), planned.datasets, how, planned.weights)
