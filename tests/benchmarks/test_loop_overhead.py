"""What ltbench's loop costs over a bare PyTorch loop of the same model on the same batches: samplers, slots, logging, accelerate.

``make bench`` measures a part of an epoch, both in turn; in the ordinary tests each takes two small steps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import torch
import torch.nn.functional as F

from ltbench.data.task_data import TaskData
from ltbench.training.budget import Budget
from ltbench.training.loop import Loop
from tests.benchmarks import in_turn, our_epoch

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

ROUNDS, STEPS = 10, 4
GOAL = 1 / 1.03  # under 3 % more time


def bare_epoch(loop: Loop) -> Callable[[], float]:
    """Return what trains an epoch without ltbench, but for the batches, on a copy of the model; it returns the mean loss."""
    engine = loop.engine
    backbone, classifier = copy.deepcopy(engine.backbone), copy.deepcopy(engine.head.classifier)
    parameters = [*backbone.parameters(), *classifier.parameters()]
    rate = engine.ctx.protocol.lr
    optimizer = torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=engine.ctx.protocol.weight_decay, fused=True)
    sampler = engine.ctx.default_streams()["main"]

    def train() -> float:
        backbone.train()
        total = torch.zeros((), device=engine.ctx.device)
        for (batch,) in loop._loader("main").epoch(loop._order("main", sampler, 0), 0):
            loss = F.cross_entropy(classifier(backbone(batch.images)), batch.labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += loss.detach()
        return float(total) / loop.budget.steps

    return train


@pytest.fixture(scope="module")
def loop(cifar100_lt: TaskData, measuring: bool, flushed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    name, batch, steps = ("resnet32", 128, STEPS) if measuring else ("resnet20", 8, 2)
    with our_epoch.loop(cifar100_lt, name, Budget(1, steps * batch, batch), tmp_path_factory.mktemp("loop")) as made:
        yield made


@pytest.fixture(scope="module")
def times(loop: Loop, measuring: bool) -> dict[str, list[float]]:
    bare, ours = bare_epoch(loop), our_epoch.epoch(loop)
    assert ours() == pytest.approx(bare(), rel=1e-5)  # they do the same
    return in_turn.measure({"bare_loop": bare, "ours": ours}, ROUNDS if measuring else 1)


@pytest.mark.benchmark(group="overhead of the loop", timer=in_turn.clock)
@pytest.mark.parametrize("way", ["bare_loop", "ours"])
def test_loop_overhead(benchmark: BenchmarkFixture, times: dict[str, list[float]], way: str) -> None:
    in_turn.replay(benchmark, times[way], reference=way == "bare_loop", goal=GOAL if way == "ours" else None)
