"""An epoch of ltbench's own loop on CIFAR-100-LT, from its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch

from ltbench.data.task_data import TaskData
from ltbench.planning.plan import plan_run
from ltbench.registry.discovery import load_registry
from ltbench.terms.task import Task
from ltbench.training.budget import Budget
from ltbench.training.compilation import compiled
from ltbench.training.distributed import make_accelerator
from ltbench.training.loop import Loop
from ltbench.training.stages import StageRunner
from ltbench.training.store import StageStore


@contextmanager
def loop(data: TaskData, backbone: str, budget: Budget, folder: Path, *, precision: str = "no",
         compiles: bool = False) -> Iterator[Loop]:
    """Set a training of cross-entropy up, on the device that there is.

    Args:
        budget: Of the training: one epoch is measured again and again.
    """
    registry = load_registry()
    protocol = data.dataset.protocols["quick"].replace(backbone=backbone, batch_size=budget.batch_size, schedule="constant")
    plan = plan_run("ce", Task(data.dataset.name, 100.0), protocol, registry, data.dataset).stages[0]
    accelerator = make_accelerator(precision, cpu=not torch.cuda.is_available())
    runner = StageRunner(accelerator, StageStore(folder, 10**9), registry)
    engine = runner.build(plan, 0, data, None)
    with compiled(engine, folder, alone=True) if compiles else nullcontext():
        yield Loop(engine, budget, runner.loaders(engine, plan, budget, 0, data), data.labels, 0, accelerator,
                   folder / "checkpoint", lambda row: None)


def epoch(loop: Loop) -> Callable[[], float]:
    """Return what trains an epoch and returns its mean loss."""
    return lambda: float(loop._epoch(0)["loss"])
