"""What batch augmentation saves: crop, flip and normalization of a long-tailed CIFAR-100, against a public code's data loader.

``make bench`` measures an epoch, both in turn; in the ordinary tests each makes two batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ltbench.data.loader import Loader
from ltbench.data.task_data import TaskData
from tests.benchmarks import in_turn, public_code
from tests.support.views import view_of

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

BATCH, ROUNDS = 128, 5
GOALS = {"ours": 15, "public_code": None, "public_code_without_workers": None}


@pytest.fixture(scope="module")
def times(cifar100_lt: TaskData, measuring: bool) -> dict[str, list[float]]:
    dataset, images = cifar100_lt.dataset, len(cifar100_lt.labels) if measuring else 2 * BATCH
    loader = Loader(cifar100_lt.parts.train, cifar100_lt.indices,
                    [view_of(("crop", "flip"), dataset.crop_padding, dataset.mean, dataset.std)], batch_size=BATCH, seed=0)
    order = np.random.default_rng(0).permutation(len(cifar100_lt.labels))[:images]
    theirs = {name: public_code.loader(cifar100_lt, BATCH, workers, images)
              for name, workers in (("public_code", public_code.WORKERS if measuring else 0), ("public_code_without_workers", 0))}
    ways = {"ours": lambda: sum(len(batch.labels) for (batch,) in loader.epoch(order, 0)),
            **{name: lambda batches=batches: sum(len(batch) for batch, _ in batches) for name, batches in theirs.items()}}
    assert {work() for work in ways.values()} == {images // BATCH * BATCH}
    return in_turn.measure(ways, ROUNDS if measuring else 1)


@pytest.mark.benchmark(group="an epoch of input, CIFAR-100-LT at ratio 100", timer=in_turn.clock)
@pytest.mark.parametrize("way", GOALS)
def test_input_pipeline(benchmark: BenchmarkFixture, times: dict[str, list[float]], way: str) -> None:
    in_turn.replay(benchmark, times[way], reference=way == "public_code", goal=GOALS[way])
