from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from torch import nn

from ltbench.data.samplers import ClassBalanced
from ltbench.terms.task import Task
from ltbench.testing.scene import Scene, installed, scratch
from ltbench_mixing.mislas import MiSLAS, TunedClassifier, growth
from tests.support.stages import facts, later_stage, previous_stage, random_bank, train

COUNTS = [90, 50, 10]


def method(**values: float) -> MiSLAS:
    return MiSLAS(facts(COUNTS), **values)  # type: ignore[arg-type]  # a union of numbers for all options


def test_the_largest_class_gives_away_the_most() -> None:
    # Half way between the sizes 10 and 90: 0.1 + 0.3 sin(pi / 4).
    torch.testing.assert_close(method().smoothing, torch.tensor([0.4, 0.1 + 0.3 * math.sqrt(0.5), 0.1]))
    torch.testing.assert_close(MiSLAS(facts([7, 7])).smoothing, torch.tensor([0.4, 0.4]))


def test_forms_by_hand() -> None:
    counts = torch.tensor([90, 70, 50, 10])  # positions 1, 3/4, 1/2, 0
    expected = {"linear": [1.0, 0.75, 0.5, 0.0], "concave": [1.0, math.sin(3 * math.pi / 8), math.sqrt(0.5), 0.0],
                "convex": [1.0, 1 + math.sin(1.5 * math.pi + 3 * math.pi / 8), 1 - math.sqrt(0.5), 0.0]}
    for form, values in expected.items():
        torch.testing.assert_close(growth(counts, form), torch.tensor(values, dtype=torch.float64))  # type: ignore[arg-type]


def test_loss_by_hand() -> None:
    # Probabilities 1/2, 1/4, 1/4; label 2 is the smallest class: 0.9 on its own, 0.05 on each other.
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    by_hand = -(0.9 * math.log(0.25) + 0.05 * math.log(0.5) + 0.05 * math.log(0.25))
    torch.testing.assert_close(method().criterion(logits, torch.tensor([2])), torch.tensor([by_hand]))


def test_loss_against_loops() -> None:
    logits, labels = 3 * torch.randn(7, 3), [0, 1, 2, 2, 1, 0, 0]
    for row, loss in enumerate(method().criterion(logits, torch.tensor(labels)).tolist()):
        total = math.log(sum(math.exp(z) for z in logits[row].tolist()))
        away = 0.1 + 0.3 * math.sin(math.pi * (COUNTS[labels[row]] - 10) / (2 * 80))
        slow = sum((1 - away if k == labels[row] else away / 2) * (total - z) for k, z in enumerate(logits[row].tolist()))
        assert loss == pytest.approx(slow, rel=1e-4)


def test_the_optimal_probability_of_a_class_is_what_it_keeps() -> None:
    """The paper's property: the loss is smallest where the label's probability is 1 - f(n_y), so confidence is bounded."""
    kept = torch.tensor([[0.6, 0.2, 0.2]]).log().requires_grad_()
    method().criterion(kept, torch.tensor([0])).sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(kept.grad, torch.zeros(1, 3))


def test_it_begins_with_the_classifier_below_and_trains_all_of_it() -> None:
    bank, linear = random_bank(3, 2), nn.Linear(2, 3)
    engine = later_stage(method(), bank, previous_stage(linear, 2, 3))
    classifier = cast(TunedClassifier, engine.head.classifier)
    torch.testing.assert_close(classifier(bank.embedding), linear(bank.embedding))
    train(engine, bank, steps=5)
    assert not torch.equal(classifier.linear.weight, linear.weight)
    assert not torch.equal(classifier.scales, torch.ones(3))
    assert not linear.weight.requires_grad or linear.weight.grad is None  # the stage before stays as it was
    assert engine.stack.methods[0].streams(engine.ctx) == {"main": ClassBalanced()}


def test_the_classifier_has_a_fifth_of_the_rate() -> None:
    own = method()
    engine = later_stage(own, random_bank(3, 2), previous_stage(nn.Linear(2, 3), 2, 3))
    (group,) = own.parameter_groups(engine.ctx)
    classifier = cast(TunedClassifier, engine.head.classifier)
    assert group.lr == pytest.approx(0.2 * engine.ctx.protocol.stage2_lr)
    assert [id(p) for p in group.parameters] == [id(p) for p in classifier.linear.parameters()]


def test_batch_norm_follows_the_balanced_images_or_stays() -> None:
    assert (method().backbone, method(shift_batch_norm=False).backbone) == ("drifting", "frozen")


def test_settings_are_those_of_the_ratio() -> None:
    for dataset, ratio, values in (("cifar100-lt", 100.0, (0.4, 0.1, 0.2, True)), ("cifar100-lt", 10.0, (0.2, 0.0, 0.1, True)),
                                   ("cifar10-lt", 100.0, (0.3, 0.0, 0.5, False)), ("inat18", None, (0.3, 0.0, 0.05, True))):
        setting = MiSLAS.paper(Task(dataset, ratio))
        assert setting is not None
        assert tuple(setting.hyperparameters.values()) == values, dataset
    assert MiSLAS.paper(Task("cifar100-lt", 200.0)) is None


def test_smoothing_grows_with_the_class() -> None:
    with pytest.raises(ValueError, match=r"smooth_tail must be <= smooth_head \(0.1\), got 0.2"):
        method(smooth_head=0.1, smooth_tail=0.2)


@pytest.mark.slow
def test_it_stands_on_mixup_and_beside_others() -> None:
    place = Scene(installed())
    with scratch() as folder:
        for text in ("mislas", "ldam+mixup/crt/mislas", "mixup/mislas+drw", "remix/mislas+mixup"):
            place.train(text, folder)
