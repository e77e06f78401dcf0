"""A small real first stage, not trained, over real digits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ltbench.backbones.cifar_resnet import CifarResNet
from ltbench.data.batch import Batch
from ltbench.method.context import Bank, Context
from ltbench.method.contract import Method
from ltbench.method.factories import BackboneFactory, HeadFactory
from ltbench.method.stack import Stack
from ltbench.training.engine import Engine
from tests.support.stages import PROTOCOL


def first_stage(methods: Sequence[Method], build: Callable[[], nn.Module] = lambda: CifarResNet(14, width=4, channels=1),
                bank: Bank | None = None) -> Engine:
    """Return a first stage, set up, in evaluation mode: batch norm is then a fixed function, and losses can be checked."""
    stack, facts = Stack(methods, 1), methods[0].facts
    backbone = stack.owner("build_backbone").build_backbone(BackboneFactory("small", build, (1, 32, 32)))
    make = HeadFactory(stack.owner("make_classifier").make_classifier, int(backbone.feature_dim), facts.num_classes)  # type: ignore[arg-type]
    none = Bank(torch.empty(0, facts.feature_dim), torch.empty(0, dtype=torch.int64))
    engine = Engine(backbone, stack.owner("build_head").build_head(make), stack,
                    lambda engine: Context(engine, stack, facts, PROTOCOL, None, torch.device("cpu"),
                                           lambda split, view: bank or none, lambda rows: rows))
    for method in methods:
        method.setup(engine.ctx)
    return engine.eval()


def at_epoch(engine: Engine, epoch: int, seed: int = 0) -> Context:
    """Return the engine's context at the start of an epoch."""
    engine.ctx.epoch = epoch
    engine.ctx.generator.manual_seed(seed)
    return engine.ctx


def batch_of(images: Tensor, labels: Tensor) -> Batch:
    """Return a whole global batch."""
    return Batch(images, labels, [(labels, 1.0)], torch.arange(len(labels)), labels, views=[images])
