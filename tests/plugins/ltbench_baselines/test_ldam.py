from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from ltbench.method.heads import CosineClassifier
from ltbench_baselines.ldam import LDAM
from tests.support.stages import facts, softmax_loss

COUNTS = [500, 100, 16, 1]


def test_margins_by_hand() -> None:
    # 16^(-1/4) = 1/2 and 1^(-1/4) = 1: the largest margin is 1/2, the other half of it; times the scale 30
    torch.testing.assert_close(LDAM(facts([16, 1])).shift, torch.tensor([7.5, 15.0]))


def test_loss_by_a_slow_loop() -> None:
    method = LDAM(facts(COUNTS), max_margin=0.4, scale=10.0)
    cosines = torch.rand(12, 4) * 2 - 1
    labels = torch.randint(4, (12,))
    expected = []
    for row, label in zip(cosines.tolist(), labels.tolist(), strict=True):
        margin = 0.4 * (min(COUNTS) / COUNTS[label]) ** 0.25
        expected.append(softmax_loss([10 * (value - margin * (k == label)) for k, value in enumerate(row)], label))
    torch.testing.assert_close(method.criterion(10 * cosines, labels), torch.tensor(expected))


def test_two_classes_share_the_margin_as_proved() -> None:
    # Section 3.1: with a fixed sum, the generalization bound is smallest where gamma_1 / gamma_2 = (n_2 / n_1)^(1/4).
    counts = [80, 5]
    shift = LDAM(facts(counts)).shift.tolist()
    total = sum(shift)

    def bound(first: float) -> float:
        return 1 / (first * math.sqrt(counts[0])) + 1 / ((total - first) * math.sqrt(counts[1]))

    assert bound(shift[0]) < min(bound(shift[0] * 0.99), bound(shift[0] * 1.01))


def test_half_precision_logits_lose_nothing_more() -> None:
    logits, labels = (30 * torch.rand(8, 4)).bfloat16(), torch.randint(4, (8,))
    method = LDAM(facts(COUNTS))
    torch.testing.assert_close(method.criterion(logits, labels), method.criterion(logits.float(), labels))


def test_without_margin_it_is_cross_entropy() -> None:
    logits, labels = torch.randn(8, 4), torch.randint(4, (8,))
    torch.testing.assert_close(LDAM(facts(COUNTS), max_margin=0.0).criterion(logits, labels),
                               F.cross_entropy(logits, labels, reduction="none"))


def test_criterion_leaves_logits_alone_and_learns() -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    before = logits.detach().clone()
    LDAM(facts(COUNTS)).criterion(logits, torch.tensor([0, 1, 3])).sum().backward()
    torch.testing.assert_close(logits.detach(), before)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad.sum(dim=1), torch.zeros(3), atol=1e-6, rtol=0)  # softmax minus one-hot


def test_classifier_is_scaled_cosine_without_bias() -> None:
    classifier = LDAM(facts(COUNTS), scale=20.0).make_classifier(6, 4)
    assert isinstance(classifier, CosineClassifier)
    features = torch.randn(5, 6)
    expected = 20 * F.cosine_similarity(features[:, None], classifier.weight[None], dim=2)
    torch.testing.assert_close(classifier(features), expected, atol=1e-5, rtol=0)
    assert [name for name, _ in classifier.named_parameters()] == ["weight"]


def test_refuses_bad_values() -> None:
    with pytest.raises(ValueError, match="max_margin must be >= 0, got -1"):
        LDAM(facts(COUNTS), max_margin=-1)
    with pytest.raises(ValueError, match="scale must be > 0, got 0"):
        LDAM(facts(COUNTS), scale=0)
