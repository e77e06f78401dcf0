from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from ltbench_baselines.focal import Focal
from tests.support.stages import facts

LOGITS = torch.tensor([[math.log(3), 0.0], [math.log(3), 0.0]])
LABELS = torch.tensor([0, 1])


def test_by_hand() -> None:
    # p = 3/4 and 1/4: (1/4)^2 log(4/3) and (3/4)^2 log 4
    expected = torch.tensor([0.0625 * math.log(4 / 3), 0.5625 * math.log(4)])
    torch.testing.assert_close(Focal(facts([9, 1])).criterion(LOGITS, LABELS), expected)


def test_focus_zero_is_cross_entropy() -> None:
    logits, labels = torch.randn(20, 5), torch.randint(5, (20,))
    torch.testing.assert_close(Focal(facts([1] * 5), gamma=0.0).criterion(logits, labels),
                               F.cross_entropy(logits, labels, reduction="none"))


def test_gradient_of_saturated_sample_is_finite() -> None:
    for gamma in (0.0, 0.5, 1.0, 2.0):
        logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
        Focal(facts([9, 1]), gamma=gamma).criterion(logits, torch.tensor([0, 0])).sum().backward()
        assert logits.grad is not None and logits.grad.isfinite().all()
        torch.testing.assert_close(logits.grad, torch.tensor([[0.0, 0.0], [-1.0, 1.0]]))


def test_refuses_bad_values() -> None:
    with pytest.raises(ValueError, match="gamma must be >= 0, got -1"):
        Focal(facts([9, 1]), gamma=-1)
