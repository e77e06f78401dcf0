from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from ltbench_losses.seesaw import Seesaw
from tests.support.stages import facts

COUNTS = [500, 100, 16, 1]


def test_by_hand() -> None:
    # An image of the larger class, 16 to 1: the smaller counts (1 / 16)^(1/2) = 1/4 in its softmax, 1 the other way around.
    mitigated = Seesaw(facts([16, 1]), p=0.5, q=0.0)
    losses = mitigated.criterion(torch.zeros(2, 2), torch.tensor([0, 1]))
    torch.testing.assert_close(losses, torch.tensor([math.log(5 / 4), math.log(2)]))
    # An image that is taken for the other class with three times the probability: that class counts 3^2 = 9 times its 3.
    compensated = Seesaw(facts([5, 5]), p=0.8, q=2.0)
    torch.testing.assert_close(compensated.criterion(torch.tensor([[0.0, math.log(3)]]), torch.tensor([0])),
                               torch.tensor([math.log(28)]))


def test_loss_by_a_slow_loop() -> None:
    logits, labels = 2 * torch.randn(12, 4), torch.randint(4, (12,))
    expected = []
    for row, i in zip(logits.tolist(), labels.tolist(), strict=True):
        total = sum(math.exp(z) for z in row)
        p = [math.exp(z) / total for z in row]
        others = 0.0
        for j in range(4):
            if j != i:
                mitigation = 1.0 if COUNTS[i] <= COUNTS[j] else (COUNTS[j] / COUNTS[i]) ** 0.8
                compensation = 1.0 if p[j] <= max(p[i], 0.01) else (p[j] / max(p[i], 0.01)) ** 2
                others += mitigation * compensation * math.exp(row[j])
        expected.append(math.log(1 + others / math.exp(row[i])))
    torch.testing.assert_close(Seesaw(facts(COUNTS)).criterion(logits, labels), torch.tensor(expected))


def test_the_gradient_on_a_negative_class_is_balanced() -> None:
    # It is S_ij e^z_j / e^z_i times the modified probability of the label.
    method, i = Seesaw(facts(COUNTS)), 0
    logits = torch.tensor([[0.5, 1.0, -0.3, 0.2]], requires_grad=True)
    loss = method.criterion(logits, torch.tensor([i]))
    loss.sum().backward()
    balance = method.log_balance(logits.detach(), torch.tensor([i])).exp()[0]
    own = math.exp(-float(loss.detach()))
    assert logits.grad is not None
    for j in range(1, 4):
        expected = float(balance[j]) * math.exp(float((logits[0, j] - logits[0, i]).detach())) * own
        assert float(logits.grad[0, j]) == pytest.approx(expected, rel=1e-5)


def test_without_exponents_it_is_cross_entropy_and_it_never_compensates_downward() -> None:
    logits, labels = torch.randn(8, 4), torch.randint(4, (8,))
    torch.testing.assert_close(Seesaw(facts(COUNTS), p=0.0, q=0.0).criterion(logits, labels),
                               F.cross_entropy(logits, labels, reduction="none"))
    assert Seesaw(facts(COUNTS), p=0.0).log_balance(logits, labels).min() == 0
    assert Seesaw(facts(COUNTS), q=0.0).log_balance(logits, labels).max() == 0


def test_half_precision_loses_nothing_more_and_bad_values_are_refused() -> None:
    half, labels = (10 * torch.randn(8, 4)).bfloat16(), torch.randint(4, (8,))
    method = Seesaw(facts(COUNTS))
    torch.testing.assert_close(method.criterion(half, labels), method.criterion(half.float(), labels))
    with pytest.raises(ValueError, match="p must be >= 0, got -1"):
        Seesaw(facts(COUNTS), p=-1)
    with pytest.raises(ValueError, match="q must be >= 0, got -1"):
        Seesaw(facts(COUNTS), q=-1)
