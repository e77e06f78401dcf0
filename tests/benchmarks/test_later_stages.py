"""Five later stages on one stage 1 of CIFAR-100-LT at ratio 100, ResNet-32, under the common protocol.

Together with their stage 1 they must take less than 1.1 times the stage 1 alone: a tenth of it. Stage 1 trains for one epoch here
and its time is multiplied by 200. ``make bench`` measures; in the ordinary tests all run once, on ten images a class.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ltbench
from ltbench.data.cifar import Cifar100LT
from ltbench.data.task_data import TaskData, load_task_data
from ltbench.planning.plan import StagePlan, plan_run
from ltbench.registry.discovery import load_registry
from ltbench.training.distributed import make_accelerator
from ltbench.training.stages import Stage, StageRunner
from ltbench.training.store import StageStore

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

pytestmark = pytest.mark.slow
METHODS = ("crt", "lws", "disalign", "prototype", "lncm")  # that train: closed-form ones take less
EPOCHS = 200  # of the common protocol's stage 1
GROUP = "five later stages, against the stage 1 that they stand on"

Obtain = Callable[[str, Stage | None], Stage]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stages")


@pytest.fixture
def obtain(benchmark: BenchmarkFixture, cifar100_root: Path, folder: Path) -> Obtain:
    """Return what trains the last stage of an expression, or takes it from the store of all tests of this file."""
    dataset, registry = Cifar100LT(), load_registry()
    protocol = dataset.protocols["common"]
    assert (protocol.epochs, protocol.backbone, protocol.stage2_draws) == (EPOCHS, "resnet32", 10.0)
    # Warm-up is a fraction of the epochs; a schedule costs nothing.
    protocol = protocol.replace(epochs=1) if benchmark.enabled else protocol.replace(epochs=1, stage2_draws=1.0, per_class=10)
    task = ltbench.Task(dataset.name, 100.0)
    data: TaskData = load_task_data(dataset, dataset.load(cifar100_root), task, protocol.per_class)
    runner = StageRunner(make_accelerator(cpu=True), StageStore(folder / str(benchmark.enabled), 10**10), registry)

    def plan(text: str) -> StagePlan:
        return plan_run(text, task, protocol, registry, dataset).stages[-1]

    return lambda text, previous: runner.obtain(plan(text), 0, data, previous)


@pytest.mark.benchmark(group=GROUP)
def test_stage_1(benchmark: BenchmarkFixture, obtain: Obtain) -> None:
    benchmark.extra_info |= {"reference": True, "scale": EPOCHS}
    stage = benchmark.pedantic(obtain, ("ce", None))
    assert len(stage.curve) == 1 and not stage.reused


@pytest.mark.benchmark(group=GROUP)
def test_five_later_stages(benchmark: BenchmarkFixture, obtain: Obtain) -> None:
    """The features of all training images are computed in the course of the first, and read by the others."""
    benchmark.extra_info["goal"] = 10
    stage1 = obtain("ce", None)

    def all_five() -> list[Stage]:
        return [obtain(f"ce/{name}", stage1) for name in METHODS]

    stages = benchmark.pedantic(all_five)
    assert not any(stage.reused for stage in stages)
    benchmark.extra_info["seconds"] = {name: round(stage.seconds, 1) for name, stage in zip(METHODS, stages, strict=True)}
