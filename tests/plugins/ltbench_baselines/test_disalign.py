from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from torch import nn

from ltbench.data.samplers import InstanceBalanced
from ltbench.errors import UserError
from ltbench.method.context import Context
from ltbench.method.heads import CosineClassifier
from ltbench.method.stack import Stack
from ltbench.terms.task import Task
from ltbench_baselines.crt import ClassifierRetraining
from ltbench_baselines.disalign import CalibratedClassifier, DistributionAlignment, generalized_weights
from ltbench_baselines.rs import ClassBalancedSampling
from tests.support.stages import facts, later_stage, previous_stage, random_bank, train


def test_weights_by_hand() -> None:
    assert generalized_weights(torch.tensor([4, 1]).log(), 1.0).tolist() == pytest.approx([0.4, 1.6])
    assert generalized_weights(torch.tensor([16, 1]).log(), 0.5).tolist() == pytest.approx([0.4, 1.6])
    assert generalized_weights(torch.tensor([9, 5, 1]).log(), 0.0).tolist() == pytest.approx([1, 1, 1])


def test_weights_against_loops_and_at_size() -> None:
    counts = [500, 477, 100, 7, 1]
    powers = [(sum(counts) / n) ** 1.2 for n in counts]
    assert generalized_weights(torch.tensor(counts).log(), 1.2).tolist() == pytest.approx([5 * p / sum(powers) for p in powers])
    many = generalized_weights(torch.linspace(1000, 2, 8142).long().log(), 1.2)
    assert float(many.sum()) == pytest.approx(8142, rel=1e-4) and bool((many > 0).all())


def _classifier(additive: bool) -> CalibratedClassifier:
    linear = nn.Linear(2, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        linear.bias.copy_(torch.tensor([0.5, 0.0]))
    classifier = CalibratedClassifier(linear.requires_grad_(False), additive)
    with torch.no_grad():
        classifier.magnitude.copy_(torch.tensor([3.0, 0.5]))
        classifier.margin.copy_(torch.tensor([-1.0, 2.0]))
        classifier.confidence.weight.copy_(torch.tensor([[math.log(3.0), 0.0]]))
    return classifier


@pytest.mark.parametrize(("additive", "expected"), [(True, [4.125, 4.25]), (False, [3.0, 2.75])])
def test_logits_by_hand(additive: bool, expected: list[float]) -> None:
    # x = (1, 1): z = (1.5, 2), sigma = 3/4. Additive: (1 + 3/4 3) 1.5 - 3/4 = 4.125; (1 + 3/8) 2 + 3/2 = 4.25.
    # Interpolated: 3/4 (4.5 - 1) + 1/4 1.5 = 3; 3/4 (1 + 2) + 1/4 2 = 2.75.
    logits = _classifier(additive)(torch.ones(1, 2))
    assert logits[0].tolist() == pytest.approx(expected)


def test_both_forms_reach_the_same_functions() -> None:
    additive, interpolated = _classifier(True), _classifier(False)
    with torch.no_grad():
        interpolated.magnitude.add_(1)
    features = torch.randn(5, 2)
    torch.testing.assert_close(additive(features), interpolated(features))


def test_it_starts_at_the_earlier_decisions() -> None:
    bank, before = random_bank(4, 3), nn.Linear(3, 4)
    known = facts([8] * 4, 3)
    at_start = {form: later_stage(DistributionAlignment(known, form=form), bank, previous_stage(before, 3, 4))
                for form in ("additive", "interpolated")}
    old = before(bank.embedding)
    torch.testing.assert_close(at_start["interpolated"].output(bank.embedding).logits, old)
    new = at_start["additive"].output(bank.embedding).logits
    confidence = torch.sigmoid(0.1 * bank.embedding.sum(dim=1, keepdim=True))
    torch.testing.assert_close(new, (1 + confidence) * old)
    assert torch.equal(new.argmax(dim=1), old.argmax(dim=1))


def test_only_the_calibration_learns() -> None:
    bank, before = random_bank(4, 3), nn.Linear(3, 4)
    engine = later_stage(DistributionAlignment(facts([40, 20, 10, 5], 3)), bank, previous_stage(before, 3, 4))
    losses = train(engine, bank, 80)
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    classifier = engine.head.classifier
    assert isinstance(classifier, CalibratedClassifier)
    assert torch.equal(classifier.linear.weight, before.weight) and torch.equal(classifier.linear.bias, before.bias)
    moved = {name for name, p in classifier.named_parameters() if p.requires_grad}
    assert moved == {"magnitude", "margin", "confidence.weight", "confidence.bias"}
    assert bool((classifier.magnitude != 1).all()) and bool((classifier.margin != 0).all())


def test_margins_make_the_tail_count() -> None:
    # Features say nothing: calibration can only shift classes, by how the loss weighs them. At rho = 1 with draws by size it
    # makes all classes alike; the more weight on the small class, the larger its margin.
    margins = []
    for rho in (0.0, 1.0, 2.0):
        method = DistributionAlignment(facts([75, 25], 1), rho=rho)
        weights = method.class_weights(cast(Context, None))
        assert weights is not None
        margin = torch.zeros(2, requires_grad=True)
        share = torch.tensor([0.75, 0.25]) * weights
        optimizer = torch.optim.LBFGS([margin], max_iter=50)

        def closure(margin: torch.Tensor = margin, share: torch.Tensor = share) -> torch.Tensor:
            loss = -(share * margin.log_softmax(dim=0)).sum() / share.sum()
            margin.grad, = torch.autograd.grad(loss, [margin])
            return loss

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        margins.append(float((margin[1] - margin[0]).detach()))
    assert margins == pytest.approx([-math.log(3), 0.0, math.log(3)], abs=1e-3)


def test_what_it_stands_on_and_with() -> None:
    known = facts([8, 8], 3)
    with pytest.raises(UserError, match="must be linear"):
        later_stage(DistributionAlignment(known), random_bank(2, 3), previous_stage(CosineClassifier(3, 2), 3, 2))
    with pytest.raises(UserError, match="'build_head'"):
        Stack([DistributionAlignment(known), ClassifierRetraining(known)], 2)
    assert Stack([DistributionAlignment(known)], 2).inputs == "features"
    assert Stack([DistributionAlignment(known, inputs="images")], 2).inputs == "images"


def test_draws_are_instance_balanced_unless_another_method_draws() -> None:
    known = facts([8, 8], 3)
    bank, before = random_bank(2, 3), previous_stage(nn.Linear(3, 2), 3, 2)
    engine = later_stage(DistributionAlignment(known), bank, before)
    assert engine.stack.owner("streams").streams(engine.ctx) == {"main": InstanceBalanced()}
    assert Stack([DistributionAlignment(known), ClassBalancedSampling(known)], 2).owner("streams").name == "rs"


def test_refuses_bad_values_and_states_its_paper() -> None:
    for rho in (-0.1, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"rho must be >= 0{' and finite' if rho == math.inf else ''}, got {rho}"):
            DistributionAlignment(facts([1, 1]), rho=rho)
    with pytest.raises(ValueError, match="form must be one of additive, interpolated, got product"):
        DistributionAlignment(facts([1, 1]), form="product")  # type: ignore[arg-type]
    setting = DistributionAlignment.paper(Task("imagenet-lt", None))
    assert setting is not None and setting.stage1 == "ce" and setting.stage1_protocol["epochs"] == 90
    assert DistributionAlignment.paper(Task("cifar100-lt", 100.0)) is None
