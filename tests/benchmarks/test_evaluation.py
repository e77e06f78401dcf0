"""Evaluation of the 10,000 test images of CIFAR-100 with ResNet-32, against a plain loop over a PIL data loader in fp32.

``make bench`` measures; in the ordinary tests each runs once, on few images.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

import ltbench
from ltbench.backbones.cifar_resnet import CifarResNet
from ltbench.data.cifar import Cifar100LT
from ltbench.data.task_data import TaskData, load_task_data
from ltbench.method.factories import Head
from ltbench.method.stack import Stack
from ltbench.results.evaluate import predict_test
from ltbench.training.distributed import make_accelerator
from ltbench.training.engine import Engine
from ltbench_baselines.ce import CrossEntropy
from tests.support.stages import facts, no_context

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

pytestmark = pytest.mark.slow  # the data alone takes seconds to read
GROUP = "evaluation of 10,000 images, ResNet-32"


@pytest.fixture(scope="module")
def task(cifar100_root: Path) -> TaskData:
    dataset = Cifar100LT()
    return load_task_data(dataset, dataset.load(cifar100_root), ltbench.Task(dataset.name, 100.0), None)


@pytest.fixture(scope="module")
def engine() -> Engine:
    torch.manual_seed(0)
    backbone = CifarResNet(32)
    with torch.no_grad():
        for _ in range(20):  # statistics of random images, so that numbers stay in the range of a trained network's
            backbone(torch.randn(64, 3, 32, 32))
    known = facts([1] * 100, 64)
    made = Engine(backbone, Head(nn.Linear(64, 100)), Stack([CrossEntropy(known)], 1), no_context)
    return made.to(memory_format=torch.channels_last).requires_grad_(False).eval()


def some(task: TaskData, benchmark: BenchmarkFixture) -> TaskData:
    return task if benchmark.enabled else dataclasses.replace(task, test_indices=task.test_indices[:64])


@pytest.mark.benchmark(group=GROUP)
@pytest.mark.parametrize(("precision", "goal"), [("no", 1.4), ("bf16", 3.5)])
def test_ours(benchmark: BenchmarkFixture, task: TaskData, engine: Engine, precision: str, goal: float) -> None:
    benchmark.extra_info["goal"] = goal
    accelerator, task = make_accelerator(precision, cpu=True), some(task, benchmark)
    found = benchmark.pedantic(predict_test, (engine, task, accelerator), {"flip": False}, rounds=3)
    make_accelerator(cpu=True)
    assert len(found) == len(task.test_indices)


@pytest.mark.benchmark(group=GROUP)
def test_a_plain_loop(benchmark: BenchmarkFixture, task: TaskData, engine: Engine) -> None:
    from PIL import Image
    from torchvision import transforms

    benchmark.extra_info["reference"] = True
    task = some(task, benchmark)
    pixels = task.parts.test.fetch(task.test_indices).permute(0, 2, 3, 1).contiguous().numpy()
    labels = task.parts.test.labels[task.test_indices].tolist()
    chain = transforms.Compose([transforms.ToTensor(), transforms.Normalize(task.dataset.mean, task.dataset.std)])

    class Images(torch.utils.data.Dataset[tuple[Tensor, int]]):
        def __len__(self) -> int:
            return len(labels)

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            return chain(Image.fromarray(pixels[index])), labels[index]

    backbone = CifarResNet(32)  # not channels-last
    backbone.load_state_dict(engine.backbone.state_dict())
    model = nn.Sequential(backbone, engine.head.classifier).eval()  # type: ignore[arg-type]
    loader = torch.utils.data.DataLoader(Images(), batch_size=100)

    @torch.no_grad()
    def evaluate() -> Tensor:
        return torch.cat([model(images).argmax(dim=1) for images, _ in loader])

    found = benchmark.pedantic(evaluate, rounds=3)
    ours = predict_test(engine, task, make_accelerator(cpu=True), flip=False)
    assert (found.numpy() == ours.argmax).mean() > 0.999
