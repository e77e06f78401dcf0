from __future__ import annotations

import math

import pytest
import torch

from ltbench_losses.cdt import ClassDependentTemperatures
from tests.support.stages import facts, softmax_loss

COUNTS = [500, 100, 16, 1]


def test_by_hand() -> None:
    # (16 / 1)^(1/2) = 4: logits of 0 and 4 log 3 are 0 and log 3 in training, a probability of 3/4.
    method = ClassDependentTemperatures(facts([16, 1]), gamma=0.5)
    torch.testing.assert_close(1 / method.factor, torch.tensor([1.0, 4.0]))
    losses = method.criterion(torch.tensor([[0.0, 4 * math.log(3)]] * 2), torch.tensor([1, 0]))
    torch.testing.assert_close(losses, torch.tensor([math.log(4 / 3), math.log(4)]))


def test_loss_by_a_slow_loop() -> None:
    logits, labels = torch.randn(9, 4), torch.randint(4, (9,))
    expected = [softmax_loss([z / (500 / n) ** 0.2 for n, z in zip(COUNTS, row, strict=True)], label)
                for row, label in zip(logits.tolist(), labels.tolist(), strict=True)]
    torch.testing.assert_close(ClassDependentTemperatures(facts(COUNTS)).criterion(logits, labels), torch.tensor(expected))


def test_a_network_learns_larger_logits_for_small_classes() -> None:
    # To be as sure of a minor class, its decision value must be as many times larger as its temperature is.
    method = ClassDependentTemperatures(facts([100, 1]), gamma=0.5)  # temperatures 1 and 10
    sure = method.criterion(torch.tensor([[3.0, 0.0], [0.0, 30.0]]), torch.tensor([0, 1]))
    assert float(sure[0]) == pytest.approx(float(sure[1]))
    # The gradient on a class's logit is that of the cross-entropy over its temperature.
    logits = torch.tensor([[2.0, 5.0]], requires_grad=True)
    method.criterion(logits, torch.tensor([1])).sum().backward()
    probability = 1 / (1 + math.exp(2.0 - 0.5))
    torch.testing.assert_close(logits.grad, torch.tensor([[1 - probability, (probability - 1) / 10]]))


def test_without_exponent_it_is_cross_entropy_and_it_refuses_less() -> None:
    logits, labels = torch.randn(5, 4), torch.randint(4, (5,))
    torch.testing.assert_close(ClassDependentTemperatures(facts(COUNTS), gamma=0.0).criterion(logits, labels),
                               torch.nn.functional.cross_entropy(logits, labels, reduction="none"))
    with pytest.raises(ValueError, match="gamma must be >= 0, got -1"):
        ClassDependentTemperatures(facts(COUNTS), gamma=-1)
