"""A training epoch of ResNet-32 on CIFAR-100-LT at ratio 100: ltbench in each precision, against a public code's loop.

``make bench`` measures a part of an epoch, all ways in turn; in the ordinary tests each takes two small steps. What is left out
lies between epochs. With little noise the ratios are those of whole epochs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from ltbench.backbones.cifar_resnet import CifarResNet
from ltbench.data.task_data import TaskData
from ltbench.training.budget import Budget
from tests.benchmarks import in_turn, our_epoch, public_code

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

PEER = "public_code"
GOALS = {"fp32": None, "fp32_compiled": 1.35, "bf16": 2.2, "bf16_compiled": 2.7}
ROUNDS, STEPS = 3, 10

Times = dict[str, list[float]]


@pytest.fixture(scope="module")
def times(cifar100_lt: TaskData, measuring: bool, flushed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Times]:
    depth, batch, steps = (32, 128, STEPS) if measuring else (20, 8, 2)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder = tmp_path_factory.mktemp("epochs")
    model = nn.Sequential(CifarResNet(depth), nn.Linear(64, 100)).to(device)
    workers = public_code.WORKERS if measuring else 0
    ways = {PEER: public_code.epoch(model, public_code.loader(cifar100_lt, batch, workers, steps * batch), device)}
    with ExitStack() as open_until_measured:
        for name in GOALS:
            loop = open_until_measured.enter_context(our_epoch.loop(
                cifar100_lt, f"resnet{depth}", Budget(1, steps * batch, batch), folder,
                precision="bf16" if name.startswith("bf16") else "no", compiles=measuring and name.endswith("compiled")))
            ways[name] = our_epoch.epoch(loop)
        yield in_turn.measure(ways, ROUNDS if measuring else 1)


@pytest.mark.benchmark(group="a training epoch, ResNet-32, CIFAR-100-LT", timer=in_turn.clock)
@pytest.mark.parametrize("way", [PEER, *GOALS])
def test_training_epoch(benchmark: BenchmarkFixture, times: Times, way: str) -> None:
    in_turn.replay(benchmark, times[way], reference=way == PEER, goal=GOALS.get(way))
