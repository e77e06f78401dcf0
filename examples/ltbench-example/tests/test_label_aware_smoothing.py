from __future__ import annotations

import math

import torch
from ltbench_example.label_aware_smoothing import LabelAwareSmoothing

import ltbench


def method(*counts: int) -> LabelAwareSmoothing:
    return LabelAwareSmoothing(ltbench.Facts(torch.tensor(counts), feature_dim=2, epochs=1))


def test_the_largest_class_gives_away_the_most() -> None:
    # Half way between the sizes 10 and 90: 0.1 + 0.3 sin(pi / 4).
    torch.testing.assert_close(method(90, 50, 10).smoothing, torch.tensor([0.4, 0.1 + 0.3 * math.sqrt(0.5), 0.1]))
    torch.testing.assert_close(method(7, 7).smoothing, torch.tensor([0.4, 0.4]))


def test_loss_by_hand() -> None:
    # Probabilities 1/2, 1/4, 1/4; label 2 is the smallest class: 0.9 on its own, 0.05 on each other.
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    by_hand = -(0.9 * math.log(0.25) + 0.05 * math.log(0.5) + 0.05 * math.log(0.25))
    torch.testing.assert_close(method(90, 50, 10).criterion(logits, torch.tensor([2])), torch.tensor([by_hand]))


def test_the_optimal_probability_of_a_class_is_what_it_keeps() -> None:
    """The paper's property: the loss is smallest where the label's probability is 1 - f(n_y), so confidence is bounded."""
    kept = torch.tensor([[0.6, 0.2, 0.2]]).log().requires_grad_()
    method(90, 50, 10).criterion(kept, torch.tensor([0])).sum().backward()
    torch.testing.assert_close(kept.grad, torch.zeros(1, 3))
