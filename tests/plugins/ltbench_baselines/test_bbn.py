from __future__ import annotations

import math
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltbench.backbones.cifar_resnet import CifarResNet
from ltbench.backbones.digits import DigitsNet
from ltbench.data.samplers import ClassReversed, InstanceBalanced
from ltbench.errors import UserError
from ltbench.method.context import Context
from ltbench.method.factories import BackboneFactory
from ltbench.method.stack import Stack
from ltbench.terms.task import Task
from ltbench.training.engine import Engine
from ltbench_baselines.bbn import BilateralBranch, BranchBackbone, alpha_at, split_last_block
from ltbench_baselines.la import LogitAdjustment
from ltbench_baselines.mixup import Mixup
from ltbench_baselines.rw import InverseFrequencyWeights
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.known_context import context
from tests.support.stages import facts

COUNTS = [40, 30, 22, 16, 12, 9, 6, 4, 3, 2]


@pytest.mark.parametrize(("adaptor", "expected"), [
    ("parabolic", 0.75), ("linear", 0.5), ("cosine", math.sqrt(0.5)), ("increment", 0.25), ("equal", 0.5)])
def test_adaptors_half_way(adaptor: str, expected: float) -> None:
    assert alpha_at(adaptor, 0.5) == pytest.approx(expected)


def test_attention_moves_from_the_head_to_the_tail() -> None:
    for adaptor in ("parabolic", "linear", "cosine"):
        alphas = [alpha_at(adaptor, epoch / 200) for epoch in range(200)]
        assert alphas[0] == 1 and 0 < alphas[-1] < 0.02
        assert alphas == sorted(alphas, reverse=True)


def test_the_beta_adaptor_draws_from_the_generator() -> None:
    method = BilateralBranch(facts(COUNTS), adaptor="beta")
    ctx = context([1, 1], 1)
    state = torch.get_rng_state()
    drawn = torch.tensor([method.alpha(ctx) for _ in range(1500)])
    assert torch.equal(torch.get_rng_state(), state)
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.04)
    assert drawn.var().item() == pytest.approx(1 / (4 * 1.4), rel=0.1)  # of Beta(a, a): 1 / (4 (2 a + 1))


def test_branches_share_all_but_the_last_block() -> None:
    method = BilateralBranch(facts(COUNTS, 64))
    backbone = method.build_backbone(BackboneFactory("resnet32", CifarResNet))
    plain = sum(p.numel() for p in CifarResNet().parameters())
    # A block of 64 channels: two 3 x 3 convolutions and two batch norms.
    assert sum(p.numel() for p in backbone.parameters()) == plain + 2 * 64 * 64 * 9 + 2 * 2 * 64
    assert backbone(torch.zeros(2, 3, 32, 32)).shape == (2, 128) and backbone.feature_dim == 128
    assert sum(p.numel() for p in backbone.parameters()) == 537_488  # the same graph as resnet32twin
    own = BilateralBranch(facts(COUNTS, 64), branch="stage").build_backbone(BackboneFactory("resnet32", CifarResNet))
    stage = sum(p.numel() for p in CifarResNet().last_stage.parameters())
    assert sum(p.numel() for p in own.parameters()) == plain + stage


def test_splitting_changes_no_function() -> None:
    cases: tuple[tuple[nn.Module, int], ...] = (
        (CifarResNet(20, channels=1).last_stage, 32), (DigitsNet().last_stage, 24), (nn.Conv2d(32, 8, 3), 32))
    for stage, channels in cases:
        stage.eval()
        maps = torch.randn(2, channels, 8, 8)
        shared, own = split_last_block(stage)
        torch.testing.assert_close(own(shared(maps)), stage(maps))
        assert sum(p.numel() for p in own.parameters()) > 0


def _two_batches(digits_batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    images, labels = digits_batch
    return images[:12], labels[:12], images[40:52], labels[40:52]


def _engine(*others: type, epochs: int = 10) -> Engine:
    known = facts(COUNTS, 16, epochs)
    return first_stage([BilateralBranch(known), *(other(known) for other in others)])


def test_step_against_loops(digits_batch: tuple[Tensor, Tensor]) -> None:
    engine = _engine(LogitAdjustment, InverseFrequencyWeights)
    ctx = at_epoch(engine, 6)
    first, first_labels, second, second_labels = _two_batches(digits_batch)
    step = engine.requires_grad_(False).method("bbn").step(
        ctx, {"main": batch_of(first, first_labels), "reversed": batch_of(second, second_labels)})
    alpha = 1 - 0.6**2
    linear, both = engine.head.classifier, engine.backbone
    assert isinstance(linear, nn.Linear)
    for_head, for_tail = linear.weight.chunk(2, dim=1)  # the classifiers of the two branches
    prior = torch.tensor(COUNTS) / sum(COUNTS)
    weights = 1 / torch.tensor(COUNTS)
    total = 0.0
    for labels, share in ((first_labels, alpha), (second_labels, 1 - alpha)):
        losses, norm = 0.0, 0.0
        for i, label in enumerate(labels.tolist()):
            a, b = both(first[i : i + 1])[0, :16], both(second[i : i + 1])[0, 16:]
            logits = 2 * (alpha * for_head @ a + (1 - alpha) * for_tail @ b) + linear.bias
            adjusted = logits + prior.log()
            losses += float(weights[label] * (adjusted.logsumexp(0) - adjusted[label]))
            norm += float(weights[label])
            torch.testing.assert_close(step.output.logits[i], logits)
        total += share * losses / norm
    assert float(step.loss) == pytest.approx(total, rel=1e-5)
    assert torch.equal(step.batch.labels, first_labels)


def test_prediction_is_the_step_at_one_half(digits_batch: tuple[Tensor, Tensor]) -> None:
    engine = first_stage([BilateralBranch(facts(COUNTS, 16), adaptor="equal")])
    images, labels, _, _ = _two_batches(digits_batch)
    batch = batch_of(images, labels)
    step = engine.requires_grad_(False).method("bbn").step(at_epoch(engine, 3), {"main": batch, "reversed": batch})
    torch.testing.assert_close(engine.predict(images), step.output.logits)
    assert float(step.loss) == pytest.approx(float(F.cross_entropy(engine.predict(images), labels)))


def test_the_tail_branch_rests_at_the_start(digits_batch: tuple[Tensor, Tensor]) -> None:
    first, first_labels, second, second_labels = _two_batches(digits_batch)
    for epoch, rests in ((0, True), (5, False)):
        engine = _engine()
        step = engine.method("bbn").step(at_epoch(engine, epoch), {"main": batch_of(first, first_labels),
                                                                   "reversed": batch_of(second, second_labels)})
        step.loss.backward()  # type: ignore[no-untyped-call]
        assert isinstance(engine.backbone, BranchBackbone)
        gradients = [p.grad for p in engine.backbone.rebalancing.parameters()]
        assert all(g is not None and bool((g == 0).all()) == rests for g in gradients)
        assert any(p.grad is not None and bool(p.grad.any()) for p in engine.backbone.conventional.parameters())


def test_streams_and_conflicts() -> None:
    method = BilateralBranch(facts(COUNTS))
    streams = method.streams(cast(Context, None))
    assert list(streams) == ["main", "reversed"]
    assert isinstance(streams["main"], InstanceBalanced) and isinstance(streams["reversed"], ClassReversed)
    with pytest.raises(UserError, match="both own 'mix'"):
        Stack([method, Mixup(facts(COUNTS))], 1)
    with pytest.raises(ValueError, match="adaptor must be one of parabolic"):
        BilateralBranch(facts(COUNTS), adaptor="square")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="branch must be one of block, stage"):
        BilateralBranch(facts(COUNTS), branch="trunk")  # type: ignore[arg-type]


def test_paper_setting() -> None:
    setting = BilateralBranch.paper(Task("cifar100-lt", 50.0))
    assert setting is not None and setting.protocol == {
        "epochs": 200, "batch_size": 128, "lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4, "warmup": 5 / 200, "schedule": "step",
        "milestones": (120 / 200, 160 / 200), "gamma": 0.01, "augmentation": ("crop", "flip")}
    assert BilateralBranch.paper(Task("digits-lt", 20.0)) is None
