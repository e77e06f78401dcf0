from __future__ import annotations

import copy
import math
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ltbench.data.batch import Batch
from ltbench.data.samplers import ClassAware
from ltbench.errors import UserError
from ltbench.method.context import Context
from ltbench.method.heads import CosineClassifier
from ltbench.method.stack import Stack
from ltbench.testing.scene import Scene, installed, scratch
from ltbench_baselines.crt import ClassifierRetraining
from ltbench_baselines.rw import InverseFrequencyWeights
from ltbench_iccl.head import ProjectingHead
from ltbench_iccl.iccl_rebalance import ICCLRebalancing, distillation_losses
from tests.support.stages import facts, later_stage, previous_stage, random_bank, train

COUNTS = [40, 20, 10, 5]


def test_distillation_by_hand() -> None:
    # Softened teacher (3/4, 1/4), student (1/2, 1/2): KL = 3/4 log 3/2 + 1/4 log 1/2, times tau_d^2.
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    for temperature in (1.0, 10.0):
        teacher = torch.tensor([[temperature * math.log(3.0), 0.0]])
        loss = distillation_losses(teacher, torch.zeros(1, 2), temperature)
        assert float(loss) == pytest.approx(temperature**2 * divergence, rel=1e-4)
    backwards = distillation_losses(torch.zeros(1, 2), torch.tensor([[math.log(3.0), 0.0]]), 1.0)
    assert float(backwards) == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2))  # the divergence has a direction


def test_distillation_against_loops() -> None:
    teacher, student = 3 * torch.randn(5, 4), 3 * torch.randn(5, 4)
    for row, loss in enumerate(distillation_losses(teacher, student, 2.5).tolist()):
        p, q = ([math.exp(z / 2.5) for z in logits[row].tolist()] for logits in (teacher, student))
        p, q = [v / sum(p) for v in p], [v / sum(q) for v in q]
        assert loss == pytest.approx(2.5**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)), rel=1e-4)


def test_a_high_temperature_matches_logits() -> None:
    """With tau_d^2 the gradient tends to the difference of centered logits over C (Hinton et al., 2014, eq. 4)."""
    teacher, student = torch.randn(3, 5), torch.randn(3, 5, requires_grad=True)
    distillation_losses(teacher, student, 300.0).sum().backward()  # type: ignore[no-untyped-call]
    difference = (student - teacher).detach()
    assert student.grad is not None
    torch.testing.assert_close(student.grad, (difference - difference.mean(dim=1, keepdim=True)) / 5, atol=5e-3, rtol=0.05)


def test_equation_9_against_loops() -> None:
    bank, known = random_bank(4, 3), facts(COUNTS, 3)
    before = previous_stage(nn.Linear(3, 4), 3, 4)
    method = ICCLRebalancing(known, distill_weight=0.3, distill_temperature=4.0)
    engine = later_stage(method, bank, before)
    weights = InverseFrequencyWeights(known).class_weights(cast(Context, None))
    assert weights is not None
    joined = Stack([method, InverseFrequencyWeights(known)], 2)
    engine.stack = engine.ctx._stack = joined
    with torch.no_grad():
        cast(nn.Linear, engine.head.classifier).bias.add_(torch.tensor([0.0, 1.0, -1.0, 2.0]))
    engine.requires_grad_(False)
    rows = torch.arange(10)
    labels, x = bank.labels[rows], bank.embedding[rows]
    batch = Batch(None, labels, [(labels, 1.0)], rows, labels, embedding=x)
    loss = float(method.step(engine.ctx, {"main": batch}).loss)
    classified, norm, taught = 0.0, 0.0, 0.0
    for i, label in enumerate(labels.tolist()):
        student, teacher = engine.output(x[i : i + 1]).logits[0], before.output(x[i : i + 1]).logits[0]
        classified += float(weights[label] * (student.logsumexp(0) - student[label]))
        norm += float(weights[label])
        p, q = (teacher / 4).softmax(0), (student / 4).softmax(0)
        taught += 16 * float((p * (p / q).log()).sum())
    assert loss == pytest.approx(0.7 * classified / norm + 0.3 * taught / 10, rel=1e-4)


def test_it_starts_at_the_earlier_classifier_and_forgets_the_projection() -> None:
    bank, linear = random_bank(4, 3), nn.Linear(3, 4)
    before = previous_stage(linear, 3, 4)
    before.head = ProjectingHead(linear, 3, 2).requires_grad_(False)
    engine = later_stage(ICCLRebalancing(facts(COUNTS, 3)), bank, before)
    assert sorted(name for name, _ in engine.head.named_parameters()) == ["classifier.bias", "classifier.weight"]
    torch.testing.assert_close(engine.output(bank.embedding).logits, linear(bank.embedding))
    old = copy.deepcopy(linear.state_dict())
    train(engine, bank, 20)
    assert all(torch.equal(value, linear.state_dict()[name]) for name, value in old.items())
    assert not torch.equal(cast(nn.Linear, engine.head.classifier).weight, linear.weight)


def test_a_new_classifier_has_the_earlier_one_as_teacher() -> None:
    bank, linear = random_bank(4, 3), nn.Linear(3, 4)
    method = ICCLRebalancing(facts(COUNTS, 3), classifier="new", distill_weight=0.9)
    engine = later_stage(method, bank, previous_stage(linear, 3, 4))
    classifier = cast(nn.Linear, engine.head.classifier)
    assert not torch.equal(classifier.weight, linear.weight)

    def distance() -> float:
        with torch.no_grad():
            return float(distillation_losses(linear(bank.embedding), classifier(bank.embedding), 10.0).mean())

    start = distance()
    train(engine, bank, 150)
    assert distance() < 0.5 * start


def test_the_teacher_of_a_tuned_encoder_embeds_for_itself() -> None:
    """The encoder moves away from the earlier stage's; its teacher must not go with it."""
    before = previous_stage(nn.Linear(3, 4), 3, 4)
    before.backbone = nn.Linear(6, 3).requires_grad_(False)
    engine = later_stage(ICCLRebalancing(facts(COUNTS, 3), encoder="tuned", distill_temperature=2.0), random_bank(4, 3), before)
    engine.backbone = copy.deepcopy(before.backbone).requires_grad_(True)
    with torch.no_grad():
        engine.backbone.weight.add_(torch.randn(3, 6))
    images, labels = torch.randn(8, 6), torch.arange(8) % 4
    batch = Batch(images, labels, [(labels, 1.0)], labels, labels)
    loss = engine.method("iccl_rebalance").step(engine.ctx, {"main": batch}).loss
    student, teacher = engine.output(batch).logits, before.output(batch).logits
    taught = 4 * ((teacher / 2).softmax(1) * ((teacher / 2).log_softmax(1) - (student / 2).log_softmax(1))).sum(1).mean()
    torch.testing.assert_close(loss, 0.5 * F.cross_entropy(student, labels) + 0.5 * taught)
    loss.backward()  # type: ignore[no-untyped-call]
    assert engine.backbone.weight.grad is not None and bool(engine.backbone.weight.grad.any())
    assert before.backbone.weight.grad is None


def test_without_distillation_it_is_cross_entropy() -> None:
    bank = random_bank(4, 3)
    engine = later_stage(ICCLRebalancing(facts(COUNTS, 3), distill_weight=0.0), bank, previous_stage(nn.Linear(3, 4), 3, 4))
    batch = Batch(None, bank.labels, [(bank.labels, 1.0)], bank.labels, bank.labels, embedding=bank.embedding)
    loss = engine.method("iccl_rebalance").step(engine.ctx, {"main": batch}).loss
    torch.testing.assert_close(loss, F.cross_entropy(engine.output(bank.embedding).logits, bank.labels))


def test_distillation_holds_the_classifier_back() -> None:
    bank, moved = random_bank(4, 3), []
    for weight in (0.0, 0.9):
        linear = nn.Linear(3, 4)
        with torch.no_grad():
            linear.weight.copy_(torch.linspace(-1, 1, 12).view(4, 3))
        engine = later_stage(ICCLRebalancing(facts(COUNTS, 3), distill_weight=weight), bank, previous_stage(linear, 3, 4))
        train(engine, bank, 60)
        moved.append(float((cast(nn.Linear, engine.head.classifier).weight - linear.weight).norm().detach()))
    assert moved[1] < 0.5 * moved[0]


@pytest.mark.parametrize("encoder", ["frozen", "tuned"])
def test_the_encoder_is_frozen_or_tuned_and_the_teacher_stays(encoder: str) -> None:
    scene = Scene(installed())
    with scratch() as folder:
        engine = scene.train(f"ce/iccl_rebalance(encoder={encoder})", folder).engine
    before = engine.ctx.previous
    assert before is not None
    now, then = dict(engine.backbone.named_parameters()), dict(before.backbone.named_parameters())
    assert all(torch.equal(now[name], then[name]) for name in then) == (encoder == "frozen")
    _, plan = scene.last("ce"), scene.last(f"ce/iccl_rebalance(encoder={encoder})")[0]
    assert (plan.trial.inputs, plan.trial.backbone) == (("images", "tuned") if encoder == "tuned" else ("features", "frozen"))
    fresh = scene.last("ce/ncm")[1]  # the stored first stage, that nothing wrote into
    assert fresh is not None
    kept = fresh.engine.backbone.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in before.backbone.state_dict().items())


def test_streams_and_rates() -> None:
    bank = random_bank(4, 3)
    method = ICCLRebalancing(facts(COUNTS, 3), gamma=0.5, lr=0.02, encoder_lr=0.001)
    engine = later_stage(method, bank, previous_stage(nn.Linear(3, 4), 3, 4))
    assert method.streams(engine.ctx) == {"main": ClassAware(0.5)}
    assert [group.lr for group in method.parameter_groups(engine.ctx)] == [0.02, 0.001]
    assert ICCLRebalancing(facts(COUNTS, 3)).encoder_lr == 0.01
    assert ICCLRebalancing.below == "iccl"


def test_what_it_stands_on_and_with() -> None:
    known = facts(COUNTS, 3)
    with pytest.raises(UserError, match="must be linear"):
        later_stage(ICCLRebalancing(known), random_bank(4, 3), previous_stage(CosineClassifier(3, 4), 3, 4))
    with pytest.raises(UserError, match="'build_head'"):
        Stack([ICCLRebalancing(known), ClassifierRetraining(known)], 2)
    with pytest.raises(UserError, match="a later stage only"):
        Stack([ICCLRebalancing(known)], 1)


@pytest.mark.parametrize(("options", "message"), [
    ({"gamma": math.inf}, "gamma must be a finite number"), ({"distill_weight": 1.0}, r"distill_weight must be in \[0, 1\)"),
    ({"distill_temperature": 0.0}, "distill_temperature must be > 0"), ({"lr": 0.0}, "lr must be > 0"),
    ({"encoder_lr": -1.0}, "encoder_lr must be > 0"), ({"encoder": "slow"}, "encoder must be one of frozen, tuned"),
    ({"classifier": "old"}, "classifier must be one of reused, new"),
    ({"inputs": "pixels"}, "inputs must be one of features, images")])
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ICCLRebalancing(facts(COUNTS), **options)
