from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ltbench.data.batch import Batch
from ltbench.data.samplers import ClassBalanced, InstanceBalanced
from ltbench.errors import UserError
from ltbench.method.context import Bank
from ltbench.method.stack import Stack
from ltbench.training.engine import Engine
from ltbench.training.optimization import Optimization
from ltbench_ncm.bn_stats import BatchNormStatistics
from tests.support.stages import PROTOCOL, facts, later_stage, previous_stage


def stage(images: Tensor) -> tuple[Engine, Engine]:
    """Return a first stage with a batch norm that saw other images, and a second one over a copy of its backbone."""
    import copy

    before = previous_stage(nn.Linear(4, 10), 4, 10)
    before.backbone = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    before.backbone.train()
    before.backbone(5 * images + 1)
    before.requires_grad_(False).eval()
    method = BatchNormStatistics(facts([10] * 10, 4))
    engine = later_stage(method, Bank(torch.zeros(10, 4), torch.arange(10)), before)
    engine.backbone = copy.deepcopy(before.backbone)  # what the core does for a drifting stage
    method.fit(engine.ctx)
    return before, engine


def test_statistics_are_the_average_over_all_batches_and_nothing_else_moves(digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch
    before, engine = stage(images[:50])
    order = torch.as_tensor(ClassBalanced().draw(labels.numpy(), 5 * 32, np.random.default_rng(0))).split(32)
    optimization = Optimization(engine, PROTOCOL, len(order))
    means, variances = [], []
    for epoch in (order[:3], order[3:]):
        engine.train()
        engine.stack.methods[0].start_epoch(engine.ctx)
        for rows in epoch:
            maps = before.backbone[0](images[rows])  # type: ignore[index, operator]
            means.append(maps.mean(dim=(0, 2, 3)))
            variances.append(maps.var(dim=(0, 2, 3)))
            loss, _, _ = engine({"main": Batch(images[rows], labels[rows], [(labels[rows], 1.0)], rows, labels[rows])})
            optimization.set_rates(0)
            loss.backward()
            optimization.optimizer.step()
            optimization.optimizer.zero_grad()
    found, old = engine.state_dict(), before.state_dict()
    torch.testing.assert_close(found["backbone.1.running_mean"], torch.stack(means).mean(dim=0))
    torch.testing.assert_close(found["backbone.1.running_var"], torch.stack(variances).mean(dim=0), rtol=1e-4, atol=1e-6)
    changed = {name for name, value in old.items() if not torch.equal(value, found[name])}
    assert changed == {"backbone.1.running_mean", "backbone.1.running_var", "backbone.1.num_batches_tracked"}


def test_the_earlier_backbone_is_left_alone(digits_batch: tuple[Tensor, Tensor]) -> None:
    images, _ = digits_batch
    before, engine = stage(images[:50])
    assert (engine.backbone[1].running_mean == 0).all()  # type: ignore[index, union-attr]
    assert (before.backbone[1].running_mean != 0).all()  # type: ignore[index, union-attr]


def test_what_it_asks_for() -> None:
    stack = Stack([BatchNormStatistics(facts([2, 1]))], 2)
    assert (stack.inputs, stack.backbone, stack.trains) == ("images", "drifting", True)
    for name, kind in (("class_balanced", ClassBalanced), ("instance_balanced", InstanceBalanced)):
        method = BatchNormStatistics(facts([2, 1]), sampler=name)  # type: ignore[arg-type]
        assert isinstance(method.streams(None)["main"], kind)  # type: ignore[arg-type]


def test_refuses_to_stand_on_nothing() -> None:
    with pytest.raises(UserError, match="'bn_stats' must stand on a stage with a trained backbone"):
        later_stage(BatchNormStatistics(facts([1, 1])), Bank(torch.zeros(2, 2), torch.arange(2)))
