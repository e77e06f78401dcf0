"""Where checks play: real digits, a tiny network, two optimizer steps, and first stages that are trained once."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ltbench.data.digits import DigitsLT
from ltbench.data.loader import evaluation_batches
from ltbench.data.task_data import TaskData, load_parts, load_task_data
from ltbench.data.view import plain_view
from ltbench.planning.plan import RunPlan, StagePlan, plan_run
from ltbench.registry.discovery import Registry
from ltbench.terms.protocol import Protocol
from ltbench.terms.task import Task
from ltbench.testing import backbone
from ltbench.testing.targets import with_plugins
from ltbench.training.distributed import make_accelerator
from ltbench.training.engine import Engine
from ltbench.training.loop import Row
from ltbench.training.stages import Stage, StageRunner
from ltbench.training.store import StageStore

SEED = 0
STEPS = 2
BATCH = 64
# One step an epoch, in either stage, so that two steps cross the end of an epoch and a checkpoint: 94 images at ratio 20.
PROTOCOL = DigitsLT.protocols["smoke"].replace(epochs=STEPS, batch_size=BATCH, stage2_draws=float(STEPS), stage2_batch_size=BATCH)
SPLIT = PROTOCOL.replace(backbone=backbone.NAME)  # batch norm would tell a part of a batch from the whole
TRANSFORMER = "conformance_transformer"  # the backbone of methods that work on no other
CUT = SPLIT.replace(epochs=5, stage2_draws=5.0)  # what begins in the last fifth of a training begins
USUAL_RATIO = 20.0
ONE_IMAGE_RATIO = 100.0  # int(120 / 100) = 1 image in the last class
_LIMIT = 10**9


def installed(plugins: tuple[str, ...] = ()) -> Registry:
    """Return the installed plugins with the kit's own methods.

    Args:
        plugins: That are not installed: modules, as an entry point would name them, files, or folders of distributions.
    """
    return _installed(plugins, os.environ.get("LTBENCH_DISABLE_PLUGINS"))


@functools.cache
def _installed(plugins: tuple[str, ...], left_out: str | None) -> Registry:
    return with_plugins(plugins)


@functools.cache
def task_data(ratio: float = USUAL_RATIO) -> TaskData:
    """Return a slice of the digits at an imbalance ratio."""
    dataset = DigitsLT()
    task = Task(dataset.name, ratio)
    return load_task_data(dataset, load_parts(dataset, None, download=False), task, PROTOCOL.per_class)


def plan(text: str, registry: Registry, ratio: float = USUAL_RATIO, precision: str = "fp32",
         protocol: Protocol = PROTOCOL) -> RunPlan:
    """Plan an expression on the digits."""
    task = Task(DigitsLT.name, ratio, seed=SEED, protocol=protocol.name)
    return plan_run(text, task, protocol, registry, DigitsLT(), precision=precision)


@contextmanager
def scratch() -> Iterator[Path]:
    """Hold a folder for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="ltbench-conformance-") as folder:
        yield Path(folder)


@functools.cache
def _own_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="ltbench-conformance-")  # removed when the interpreter ends


@dataclass
class Scene:
    """Play expressions on one slice of the digits; stages before the last one are trained once and shared.

    Args:
        folder: Where earlier stages are stored; several processes must share it. None for one of this process's own.
        before: Finished earlier stages by number, key and text: a stage that only changes predictions has the key of the one
            before, and one with a method that does so has the key of that without it.
    """

    registry: Registry
    ratio: float = USUAL_RATIO
    folder: Path | None = None
    precision: str = "fp32"
    cpu: bool = True
    protocol: Protocol = PROTOCOL
    before: dict[tuple[int, str, str], Stage] = field(default_factory=dict)

    @property
    def data(self) -> TaskData:
        """The images."""
        return task_data(self.ratio)

    def runner(self, folder: Path) -> StageRunner:
        """Return a runner with a store of its own."""
        precision = "no" if self.precision == "fp32" else self.precision
        return StageRunner(make_accelerator(precision, cpu=self.cpu), StageStore(folder, _LIMIT), self.registry)

    def last(self, text: str) -> tuple[StagePlan, Stage | None]:
        """Return the plan of an expression's last stage, and the finished stage before it."""
        *earlier, last = plan(text, self.registry, self.ratio, self.precision, self.protocol).stages
        previous: Stage | None = None
        for stage in earlier:
            place = stage.number, stage.key, stage.text
            if place not in self.before:
                runner = self.runner((self.folder or Path(_own_folder().name)) / f"{self.ratio:g}")
                self.before[place] = runner.obtain(stage, SEED, self.data, previous)
            previous = self.before[place]
        return last, previous

    def train(self, text: str, folder: Path, observe: Callable[[Row], None] = lambda row: None) -> Stage:
        """Obtain an expression's last stage.

        Args:
            folder: Of the store: an empty one makes it train anew.
        """
        last, previous = self.last(text)
        return self.runner(folder).obtain(last, SEED, self.data, previous, observe)

    def build(self, text: str, folder: Path) -> tuple[Engine, StageRunner, StagePlan]:
        """Return the engine of an expression's last stage, not yet trained, with its runner and its plan."""
        last, previous = self.last(text)
        runner = self.runner(folder)
        before = previous.engine if previous else None
        if before is not None and not last.trial.evaluation_only:
            before = before.trained  # as a runner does: training reads what was trained, not what only predicts
        return runner.build(last, SEED, self.data, before), runner, last

    def logits(self, engine: Engine) -> Tensor:
        """Return what an engine predicts for the test slice, shape (100, 10)."""
        dataset, device = self.data.dataset, engine.ctx.device
        plain = plain_view(dataset)
        batches = evaluation_batches(self.data.parts.test, self.data.test_indices, BATCH, device)
        return torch.cat([engine.predict(plain(pixels, positions, 0, 0)) for positions, pixels in batches])
