"""Small real stages for tests of methods: engines and contexts of the core, over features instead of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ltbench.data.batch import Batch
from ltbench.data.samplers import ClassBalanced
from ltbench.method.context import Bank, Context
from ltbench.method.contract import Method
from ltbench.method.factories import Head, HeadFactory
from ltbench.method.stack import Stack
from ltbench.method.values import Facts, Seen
from ltbench.terms.protocol import Protocol
from ltbench.training.engine import Engine
from ltbench.training.optimization import Optimization
from ltbench_baselines.ce import CrossEntropy

PROTOCOL = Protocol("common", backbone="none", epochs=2)


def facts(counts: Sequence[int], feature_dim: int = 2, epochs: int = 10) -> Facts:
    return Facts(torch.tensor(counts), feature_dim, epochs)


def at_progress(progress: float) -> Context:
    """Return a context that knows the progress of the training and the default streams only."""
    return cast(Context, SimpleNamespace(progress=progress, default_streams=lambda: {"main": "default"}))


def no_context(engine: Engine) -> Context:
    """Return the context of an engine whose methods see nothing."""
    return cast(Context, SimpleNamespace(previous=None))


def previous_stage(classifier: nn.Module, feature_dim: int, num_classes: int, projection: nn.Module | None = None) -> Engine:
    """Return a finished first stage with a given classifier."""
    known = facts([1] * num_classes, feature_dim)
    engine = Engine(nn.Identity(), Head(classifier, projection), Stack([CrossEntropy(known)], 1), no_context)
    return engine.requires_grad_(False).eval()


def later_stage(method: Method, bank: Bank, previous: Engine | None = None) -> Engine:
    """Return a second stage, set up and fitted, on features."""
    stack = Stack([method], 2)
    make = HeadFactory(stack.owner("make_classifier").make_classifier, method.facts.feature_dim, method.facts.num_classes)
    engine = Engine(nn.Identity(), stack.owner("build_head").build_head(make), stack,
                    lambda engine: Context(engine, stack, method.facts, PROTOCOL, previous, torch.device("cpu"),
                                           lambda split, view: bank, lambda rows: rows))
    method.setup(engine.ctx)
    method.fit(engine.ctx)
    return engine


def train(engine: Engine, bank: Bank, steps: int, batch_size: int = 32) -> list[float]:
    """Train a stage on class-balanced draws, as the loop does; return the losses."""
    optimization = Optimization(engine, PROTOCOL, steps)
    generator = np.random.default_rng(0)
    order = torch.as_tensor(ClassBalanced().draw(bank.labels.numpy(), steps * batch_size, generator)).split(batch_size)
    engine.train()
    for method in engine.stack.methods:
        method.start_epoch(engine.ctx)
    losses = []
    for step, rows in enumerate(order):
        optimization.set_rates(step)
        labels = bank.labels[rows]
        batch = Batch(None, labels, [(labels, 1.0)], rows, labels, embedding=bank.embedding[rows])
        loss, _, seen = engine({"main": batch})
        optimization.optimizer.zero_grad()
        loss.backward()
        optimization.optimizer.step()
        engine.after_step(Seen.of(seen))
        losses.append(float(loss.detach()))
    return losses


def softmax_loss(logits: Sequence[float], label: int) -> float:
    """Return -log softmax in plain Python."""
    return math.log(sum(math.exp(z) for z in logits)) - logits[label]


def random_bank(num_classes: int, feature_dim: int, per_class: int = 8) -> Bank:
    """Return separable features: a class's mean plus noise."""
    labels = torch.arange(num_classes).repeat(per_class)
    means: Tensor = 3 * torch.randn(num_classes, feature_dim)
    return Bank(means[labels] + torch.randn(len(labels), feature_dim), labels)
