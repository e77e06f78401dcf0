"""An epoch of the prototype head at iNaturalist's size over a bank that lies on the device: 437,513 features, batches of 512.

``make bench`` measures it on a GPU and skips it elsewhere; in the ordinary tests it runs once, on a few features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from ltbench.data.loader import FeatureLoader
from ltbench.data.samplers import ClassBalanced
from ltbench.method.context import Bank
from ltbench.training.optimization import Optimization
from ltbench_prototype.prototype import PrototypeClassifier
from tests.support.stages import PROTOCOL, facts, later_stage

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

SECONDS = 1.0  # on one H200


@pytest.mark.benchmark(group="an epoch of the prototype head, 437,513 x 2,048, resident")
def test_prototype_epoch(benchmark: BenchmarkFixture) -> None:
    if benchmark.enabled and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    rows, width, classes, size = (437_513, 2048, 8142, 512) if benchmark.enabled else (200, 8, 20, 32)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    labels = torch.arange(rows) % classes
    bank = Bank(torch.randn(2 * classes, width), torch.arange(2 * classes) % classes)  # to start from
    stage = later_stage(PrototypeClassifier(facts(labels.bincount().tolist(), width), lr=0.1), bank).to(device)
    loader = FeatureLoader(torch.randn(rows, width, device=device), labels, batch_size=size, device=device)
    steps = rows // size
    optimization = Optimization(stage, PROTOCOL, steps)
    before = stage.head.classifier.prototypes.detach().clone()

    def epoch() -> None:
        order = ClassBalanced().draw(labels.numpy(), steps * size, np.random.default_rng(0))
        for step, (batch,) in enumerate(loader.epoch(order, 0)):
            optimization.set_rates(step)
            loss, _, _ = stage({"main": batch})
            optimization.optimizer.zero_grad()
            loss.backward()
            optimization.optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    benchmark.extra_info["seconds"] = SECONDS
    benchmark.pedantic(epoch, rounds=3, warmup_rounds=1)
    moved = stage.head.classifier.prototypes.detach() - before
    assert moved.isfinite().all() and (moved.norm(dim=1) > 0).float().mean() > 0.9
