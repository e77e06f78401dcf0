"""First stages over given features, for methods that regularize them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ltbench.data.batch import Batch
from ltbench.method.context import Bank, Context
from ltbench.method.contract import Method
from ltbench.method.factories import Head
from ltbench.method.stack import Stack
from ltbench.method.values import Facts, Output, Step
from ltbench.terms.protocol import Protocol
from ltbench.training.engine import Engine


class Given(nn.Module):
    """Stand where a backbone stands."""

    def __init__(self, feature_dim: int) -> None:
        super().__init__()
        self.feature_dim = feature_dim


def stage(method: Method, feature_dim: int, protocol: Protocol | None = None, projection: nn.Module | None = None) -> Engine:
    """Return a first stage with a linear head, set up."""
    stack = Stack([method], 1)
    width = feature_dim if projection is None else 2
    engine = Engine(Given(feature_dim), Head(nn.Linear(width, method.facts.num_classes), projection), stack,
                    lambda engine: Context(engine, stack, method.facts, protocol or Protocol("common", "none", epochs=10), None,
                                           torch.device("cpu"), lambda split, view: Bank(torch.empty(0), torch.empty(0)),
                                           lambda rows: rows))
    engine.train()
    method.setup(engine.ctx)
    method.start_epoch(engine.ctx)
    return engine


def facts(counts: Sequence[int], feature_dim: int = 2) -> Facts:
    return Facts(torch.tensor(counts), feature_dim, epochs=10)


def step_of(features: Tensor, labels: Tensor, targets: Sequence[tuple[Tensor, float | Tensor]] = (), *, chunks: int = 1,
            experts: int = 0) -> Step:
    """Return a finished step on given features: one of ``chunks`` parts, all of which look the same."""
    batch = Batch(None, labels, list(targets) or [(labels, 1.0)], torch.arange(len(labels)), labels.repeat(chunks), chunks=chunks)
    extra = {"expert_features": features.unflatten(1, (experts, -1))} if experts else {}
    return Step(torch.zeros(()), Output(features, features, torch.zeros(len(labels), 1), extra), batch)
