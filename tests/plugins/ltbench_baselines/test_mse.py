from __future__ import annotations

import pytest
import torch
from torch import nn

from ltbench_baselines.mse import SquaredError
from tests.support.stages import facts


def test_by_hand() -> None:
    logits, labels = torch.tensor([[0.5, 1.0, -1.0], [0.0, 0.0, 1.0]]), torch.tensor([0, 2])
    # (0.25 + 1 + 1) / 2 and nothing
    assert SquaredError(facts([3, 2, 1])).criterion(logits, labels).tolist() == [1.125, 0]
    # own weight 2, target 3: (2 * 6.25 + 1 + 1) / 2 and 2 * 4 / 2
    assert SquaredError(facts([3, 2, 1]), target=3.0, own_weight=2.0).criterion(logits, labels).tolist() == [7.25, 4]


def test_mean_over_samples_is_eq_7() -> None:
    logits, labels = torch.randn(7, 4), torch.randint(4, (7,))
    whole = (nn.functional.one_hot(labels, 4) - logits).pow(2).sum() / (2 * 7)
    torch.testing.assert_close(SquaredError(facts([1, 1, 1, 1])).criterion(logits, labels).mean(), whole)


def test_half_precision_logits_lose_nothing_more() -> None:
    logits, labels = torch.randn(5, 300).bfloat16(), torch.randint(300, (5,))
    method = SquaredError(facts([1] * 300))
    torch.testing.assert_close(method.criterion(logits, labels), method.criterion(logits.float(), labels))


def test_its_minimum_is_the_closed_form_classifier() -> None:
    # Proposition 1 of Liu et al. (2023): the weights follow the class sizes (eq. 8), the bias centers them (eq. 9).
    counts = [30, 8, 4]
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    features = torch.randn(len(labels), 5, dtype=torch.float64) + torch.eye(3, 5, dtype=torch.float64)[labels]
    center = features.mean(dim=0)
    total = (features - center).T @ (features - center)
    means = torch.stack([features[labels == k].mean(dim=0) - center for k in range(3)], dim=1)
    weight = torch.linalg.pinv(total) @ means @ torch.diag(torch.tensor(counts, dtype=torch.float64))
    bias = torch.tensor(counts, dtype=torch.float64) / len(labels) - center @ weight
    weight.requires_grad_(True)
    bias.requires_grad_(True)
    SquaredError(facts(counts)).criterion(features @ weight + bias, labels).mean().backward()
    assert weight.grad is not None and bias.grad is not None
    torch.testing.assert_close(weight.grad, torch.zeros_like(weight), atol=1e-9, rtol=0)
    torch.testing.assert_close(bias.grad, torch.zeros_like(bias), atol=1e-9, rtol=0)


def test_refuses_bad_values() -> None:
    with pytest.raises(ValueError, match="target must be > 0, got 0"):
        SquaredError(facts([2, 1]), target=0.0)
    with pytest.raises(ValueError, match="own_weight must be > 0, got -1"):
        SquaredError(facts([2, 1]), own_weight=-1.0)
