from __future__ import annotations

import math

import pytest
import torch
from momentum_contrast import MomentumContrast
from torch import Tensor, nn

from ltbench.method.moving_average import MovingAverage
from ltbench.method.values import Seen
from tests.support.known_context import context
from tests.support.stages import facts


def method(queue: int = 4, **values: float) -> MomentumContrast:
    return MomentumContrast(facts([3, 2]), queue=queue, dim=2, **values)


def seen(keys: Tensor) -> Seen:
    return Seen(torch.zeros(len(keys), 2), torch.zeros(len(keys)), torch.arange(len(keys)), {"keys": keys})


def test_contrast_by_hand() -> None:
    own = method(temperature=0.5)
    query, key = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8]])
    assert float(own.contrast(query, key)) == 0  # nobody has come before: the one key is the right one
    own.queue[0] = torch.tensor([0.0, 1.0])
    own.filled.fill_(1)
    assert float(own.contrast(query, key)) == pytest.approx(math.log(1 + math.exp(-0.6 / 0.5)))


def test_the_queue_holds_the_newest_keys() -> None:
    own = method()
    ctx = context([3, 2])
    for first in (0, 3):
        own.after_step(ctx, seen(torch.arange(first, first + 3.0)[:, None].expand(3, 2)))
        assert int(own.filled) == min(first + 3, 4)
    assert own.queue[:, 0].tolist() == [3, 4, 5, 0]


def test_keys_come_from_an_encoder_that_follows() -> None:
    own = method(momentum=0.75)
    ctx = context([3, 2], others=[own])
    own.setup(ctx)
    assert isinstance(own.encoder, MovingAverage) and isinstance(own.encoder.module, nn.Sequential)
    before = own.projection.weight.detach().clone()
    with torch.no_grad():
        own.projection.weight.add_(1.0)
    own.encoder.update()
    torch.testing.assert_close(own.encoder.module[1].weight, before + 0.25)
