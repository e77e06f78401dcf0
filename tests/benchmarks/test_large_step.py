"""Training of a ResNet-50 at 224 x 224 pixels in bf16, on images that are made up and lie on the device.

``make bench`` measures on a GPU, where a round is 20 steps of 256 images: an H200 should do 4,000 images a second, a round in at
most 1.28 s. Without a GPU there is nothing to see; the ordinary tests take two small steps of a small network anywhere.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch

from ltbench.data.cifar import Cifar100LT
from ltbench.data.parts import Parts, TensorImages
from ltbench.data.task_data import TaskData
from ltbench.training.budget import Budget
from tests.benchmarks import our_epoch

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

CLASSES, BATCH, STEPS = 1000, 256, 20


def made_up(images: int, size: int) -> TaskData:
    """Return a task of noise; an epoch draws its few images again and again."""
    dataset = Cifar100LT()
    dataset.class_names, dataset.image_size = tuple(map(str, range(CLASSES))), size
    labels = torch.arange(images) % CLASSES
    pixels = torch.randint(256, (images, 3, size, size), dtype=torch.uint8)
    counts = torch.bincount(labels, minlength=CLASSES).numpy()
    split = SimpleNamespace(indices=torch.arange(images).numpy(), class_counts=counts, hash="")
    part = TensorImages(pixels, labels)
    return TaskData(dataset, Parts(part, part), cast(Any, split), torch.arange(10), labels)


def test_the_measurement_works(tmp_path: Path) -> None:
    with our_epoch.loop(made_up(16, 32), "resnet20", Budget(1, 32, 16), tmp_path, precision="bf16") as loop:
        assert our_epoch.epoch(loop)() > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.benchmark(group="20 steps of ResNet-50 at 224 px, batch 256, bf16")
@pytest.mark.parametrize("way", ["eager", "compiled"])
def test_large_step(benchmark: BenchmarkFixture, way: str, measuring: bool, tmp_path: Path) -> None:
    batch, steps = (BATCH, STEPS) if measuring else (8, 2)
    with our_epoch.loop(made_up(2 * batch, 224), "timm:resnet50", Budget(1, steps * batch, batch), tmp_path, precision="bf16",
                        compiles=way == "compiled" and measuring) as loop:
        benchmark.extra_info.update(reference=way == "eager", images=steps * batch)
        benchmark.pedantic(our_epoch.epoch(loop), rounds=5, warmup_rounds=2)
