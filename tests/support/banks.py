"""Feature banks of made-up images under a cheap stand-in for a backbone; also run by processes that measure and get killed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor, nn

from ltbench.data.digits import DigitsLT
from ltbench.data.parts import Parts, TensorImages
from ltbench.data.task_data import TaskData
from ltbench.method.factories import Head
from ltbench.method.stack import Stack
from ltbench.training.distributed import make_accelerator
from ltbench.training.engine import Engine
from ltbench.training.features import FeatureReader
from ltbench.training.store import StageStore
from ltbench_baselines.ce import CrossEntropy
from tests.support.stages import facts, no_context
from tests.support.views import view_of

KEY = "ab1"


class Projection(nn.Module):
    """Multiply pixels (8 x 8) by a fixed matrix, and write down how many images every call was given."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.feature_dim = width
        self.register_buffer("matrix", torch.randn(64, width, generator=torch.Generator().manual_seed(0)))
        self.calls: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.calls.append(len(images))
        return images.flatten(1) @ self.get_buffer("matrix")


def made_up(rows: int, classes: int = 10) -> TaskData:
    """Return a task of random digits."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(rows) % classes
    images = TensorImages(torch.randint(256, (rows, 1, 8, 8), generator=generator, dtype=torch.uint8), labels)
    split = SimpleNamespace(indices=torch.arange(rows).numpy(), class_counts=torch.bincount(labels).numpy(), hash="")
    return TaskData(DigitsLT(), Parts(images, images), cast(Any, split), torch.arange(min(rows, 10)), labels)


def engine_of(width: int, stage: int = 2, classes: int = 10) -> Engine:
    """Return an engine whose backbone is frozen in a later stage."""
    known = facts([1] * classes, width)
    return Engine(Projection(width), Head(nn.Linear(width, classes)), Stack([CrossEntropy(known)], stage), no_context).eval()


def reader_of(engine: Engine, data: TaskData, root: Path, key: str | None = KEY) -> FeatureReader:
    """Return a reader whose banks are kept in a finished stage of a store."""
    store = StageStore(root, 10**11)
    store.path(KEY).mkdir(parents=True, exist_ok=True)
    augmented = view_of(("crop",), 1, DigitsLT.mean, DigitsLT.std)
    return FeatureReader(engine, data, augmented, 0, make_accelerator(cpu=True), store, key)


def expected(engine: Engine, data: TaskData) -> Tensor:
    """Return what every image's embedding is, computed at once and without the core."""
    pixels = cast(TensorImages, data.parts.train).pixels.double() / 255
    matrix = cast(Projection, engine.backbone).get_buffer("matrix").double()
    mean, std = (torch.tensor(value).double() for value in (data.dataset.mean, data.dataset.std))
    return ((pixels - mean) / std).flatten(1) @ matrix
