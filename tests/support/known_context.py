"""What methods are tested on that draw and mix: a context, and images whose every pixel is their label."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ltbench.data.batch import Batch
from ltbench.method.context import Bank, Context
from ltbench.method.contract import Method
from ltbench.method.factories import Head
from ltbench.method.stack import Stack
from ltbench.training.engine import Engine
from ltbench_baselines.ce import CrossEntropy
from tests.support.stages import PROTOCOL, facts

SIDE = 8


class FirstPixels(nn.Module):
    """Be a network whose logits are an image's first pixels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.feature_dim = classes

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :self.feature_dim]


def context(counts: Sequence[int], seed: int = 0, others: Sequence[Method] = ()) -> Context:
    """Return the context of a stack with cross-entropy, on a network that is known."""
    stack = Stack([CrossEntropy(facts(counts)), *others], 1)
    nothing = Bank(torch.zeros(0, 1), torch.zeros(0, dtype=torch.int64))
    engine = Engine(FirstPixels(len(counts)), Head(nn.Identity()), stack,
                    lambda engine: Context(engine, stack, facts(counts), PROTOCOL, None, torch.device("cpu"),
                                           lambda split, view: nothing, lambda rows: rows))
    ctx = engine.ctx
    ctx.generator.manual_seed(seed)
    ctx.previous = engine  # which keeps it alive: a context alone does not
    return ctx


def batch_of(labels: Sequence[int]) -> Batch:
    """Return images whose every pixel is their label, so that a mixed image tells what it was mixed of."""
    classes = torch.tensor(labels)
    images = classes.float().reshape(-1, 1, 1, 1).expand(-1, 1, SIDE, SIDE).clone()
    return Batch(images, classes, [(classes, 1.0)], torch.arange(len(classes)), classes, views=[images])


def part_of(batch: Batch, first: int, size: int) -> Batch:
    """Return a part of a global batch that one process holds in pieces of equal size."""
    assert batch.images is not None
    rows = slice(first, first + size)
    labels = batch.labels[rows]
    return Batch(batch.images[rows], labels, [(labels, 1.0)], batch.indices[rows], batch.labels,
                 chunks=len(batch.labels) // size, first=first, pieces=[[images] for images in batch.images.split(size)])


def pixels(images: Tensor | None) -> Tensor:
    """Return the one value that all pixels of each image have, shape (B,)."""
    assert images is not None
    values = images.flatten(1)
    torch.testing.assert_close(values, values[:, :1].expand_as(values))
    return values[:, 0]
