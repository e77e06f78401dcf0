from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from ltbench_baselines.la import LogitAdjustment
from ltbench_losses.cdt import ClassDependentTemperatures
from ltbench_losses.vs import VectorScaling
from tests.support.stages import facts, softmax_loss

COUNTS = [500, 100, 16, 1]
LOGITS = torch.tensor([[1.0, -0.5, 2.0, 0.3], [0.0, 0.0, 0.0, 0.0], [-3.0, 1.0, 0.5, 4.0]])
LABELS = torch.tensor([0, 3, 2])


def test_factors_and_shifts_by_hand() -> None:
    # (1 / 16)^(1/2) = 1/4; shifts are log 16/17 and log 1/17
    method = VectorScaling(facts([16, 1]), gamma=0.5)
    torch.testing.assert_close(method.factor, torch.tensor([1.0, 0.25]))
    torch.testing.assert_close(method.shift, torch.tensor([math.log(16 / 17), math.log(1 / 17)]))
    # Logits of 0 and 4 log 2 become log 16 and log 2, up to a constant: the small class has 2 of 18.
    loss = method.criterion(torch.tensor([[0.0, 4 * math.log(2)]]), torch.tensor([1]))
    torch.testing.assert_close(loss, torch.tensor([math.log(9)]))


def test_loss_by_a_slow_loop() -> None:
    method = VectorScaling(facts(COUNTS), gamma=0.3, tau=1.2)
    total = sum(COUNTS)
    expected = [softmax_loss([(n / 500) ** 0.3 * z + 1.2 * math.log(n / total) for n, z in zip(COUNTS, row, strict=True)], label)
                for row, label in zip(LOGITS.tolist(), LABELS.tolist(), strict=True)]
    torch.testing.assert_close(method.criterion(LOGITS, LABELS), torch.tensor(expected))


def test_it_holds_the_losses_that_it_joins() -> None:
    known = facts(COUNTS)
    for method, same in ((VectorScaling(known, gamma=0.0, tau=0.7), LogitAdjustment(known, tau=0.7)),
                         (VectorScaling(known, gamma=0.2, tau=0.0), ClassDependentTemperatures(known, gamma=0.2))):
        torch.testing.assert_close(method.criterion(LOGITS, LABELS), same.criterion(LOGITS, LABELS))
    torch.testing.assert_close(VectorScaling(known, gamma=0.0, tau=0.0).criterion(LOGITS, LABELS),
                               F.cross_entropy(LOGITS, LABELS, reduction="none"))


def test_shifts_count_at_the_beginning_only_and_factors_at_the_end_only() -> None:
    # As the abstract says: in the terminal phase logits grow without bound, and what is added to them is lost.
    def loss(scale: float, gamma: float, tau: float) -> float:
        logits = scale * torch.tensor([[1.0, 0.0, 0.0, 0.9]], dtype=torch.float64)
        return float(VectorScaling(facts(COUNTS), gamma=gamma, tau=tau).criterion(logits, torch.tensor([3]))) / max(scale, 1)

    assert loss(1e6, 0.0, 3.0) == pytest.approx(loss(1e6, 0.0, 0.0), rel=1e-3)
    assert loss(1e6, 0.3, 0.0) > 5 * loss(1e6, 0.0, 0.0)
    assert loss(0.0, 0.3, 0.0) == pytest.approx(loss(0.0, 0.0, 0.0)) == pytest.approx(math.log(4))
    assert loss(0.0, 0.0, 1.0) > loss(0.0, 0.0, 0.0) + 4


def test_half_precision_loses_nothing_more() -> None:
    half = (10 * LOGITS).bfloat16()
    for method in (VectorScaling(facts(COUNTS)), ClassDependentTemperatures(facts(COUNTS))):
        torch.testing.assert_close(method.criterion(half, LABELS), method.criterion(half.float(), LABELS))


@pytest.mark.parametrize(("values", "message"), [
    ({"gamma": -0.1}, "gamma must be >= 0, got -0.1"), ({"tau": -1.0}, "tau must be >= 0, got -1.0")])
def test_refuses(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VectorScaling(facts(COUNTS), **values)
    assert VectorScaling(facts([5, 0])).shift.isfinite().all()
