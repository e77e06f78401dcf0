from __future__ import annotations

import pytest
import torch
from torch import nn

from ltbench.method.stack import Stack
from ltbench_baselines.lws import LearnableWeightScaling, ScaledClassifier
from tests.support.stages import facts, later_stage, previous_stage, random_bank, train


def test_by_hand() -> None:
    linear = nn.Linear(2, 2)
    linear.weight.data, linear.bias.data = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([1.0, -1.0])
    classifier = ScaledClassifier(linear)
    classifier.scales.data = torch.tensor([2.0, 0.5])
    # (1 * 3 + 1) * 2 and (2 * 4 - 1) / 2
    torch.testing.assert_close(classifier(torch.tensor([[3.0, 4.0]])), torch.tensor([[8.0, 3.5]]))


def test_starts_as_the_earlier_classifier_and_learns_scales_only() -> None:
    bank = random_bank(3, 4)
    before = nn.Linear(4, 3)
    engine = later_stage(LearnableWeightScaling(facts([8, 8, 8], 4)), bank, previous_stage(before, 4, 3))
    torch.testing.assert_close(engine.output(bank.embedding).logits, before(bank.embedding))
    assert [name for name, p in engine.named_parameters() if p.requires_grad] == ["head.classifier.scales"]
    train(engine, bank, 20)
    classifier = engine.head.classifier
    assert isinstance(classifier, ScaledClassifier)
    assert torch.equal(classifier.linear.weight, before.weight)
    assert (classifier.scales != 1).all()
    torch.testing.assert_close(engine.output(bank.embedding).logits, classifier.scales * before(bank.embedding))


def test_what_it_trains_on() -> None:
    known = facts([8, 8, 8], 4)
    plain, images = LearnableWeightScaling(known), LearnableWeightScaling(known, inputs="images")
    assert [(Stack([m], 2).inputs, Stack([m], 2).backbone) for m in (plain, images)] == [
        ("features", "frozen"), ("images", "frozen")]
    with pytest.raises(ValueError, match="inputs must be one of features, images, got pixels"):
        LearnableWeightScaling(known, inputs="pixels")  # type: ignore[arg-type]
