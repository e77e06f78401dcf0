from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import ltbench
from ltbench.backbones.cifar_resnet import CifarResNet
from ltbench.method.factories import BackboneFactory
from ltbench.method.values import Seen
from ltbench.terms.task import Task
from ltbench.testing.scene import Scene, installed
from ltbench_baselines.drw import DeferredReweighting
from ltbench_baselines.la import LogitAdjustment
from ltbench_experts.ncl import NestedCollaboration, hard_classes
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.stages import facts, softmax_loss

COUNTS = [40, 30, 22, 16, 12, 9, 6, 4, 3, 2]


def divergence(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def softmax(logits: list[float]) -> list[float]:
    powers = [math.exp(z) for z in logits]
    return [p / sum(powers) for p in powers]


def pairs(experts: list[list[float]]) -> float:
    """Return the sum over ordered pairs of experts, divided by how many others each has."""
    spread = [softmax(logits) for logits in experts]
    return sum(divergence(p, q) for p in spread for q in spread if p is not q) / (len(experts) - 1)


def test_hard_classes_by_hand() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0, 0.0], [0.0, 1.0, 2.0, 3.0]])
    assert hard_classes(logits, torch.tensor([3, 3]), 3).tolist() == [[3, 0, 2], [3, 2, 1]]
    assert NestedCollaboration(facts([1] * 100)).hard == 30
    assert NestedCollaboration(facts([1] * 8142, 4)).hard == 2443  # the public configuration has 2,442
    assert NestedCollaboration(facts([1, 1])).hard == 2  # the own class alone would have no loss


def slow_loss(experts: list[list[list[float]]], labels: list[int], weights: list[float], count: int) -> dict[str, float]:
    """Return the parts of the loss without a contrast; experts' logits are by image."""
    total = dict.fromkeys(("all_classes", "hard_classes", "divergence", "hard_divergence"), 0.0)
    whole = sum(weights[y] for y in labels)
    for said, y in zip(experts, labels, strict=True):
        others = sorted((k for k in range(len(COUNTS)) if k != y), key=lambda k, first=said[0]: -first[k])  # type: ignore[misc]
        hard = [y, *others[:count - 1]]
        balanced = [[z + math.log(n) for z, n in zip(logits, COUNTS, strict=True)] for logits in said]
        few = [[logits[k] for k in hard] for logits in balanced]
        total["all_classes"] += sum(softmax_loss(logits, y) for logits in balanced) * weights[y] / whole
        total["hard_classes"] += sum(softmax_loss(logits, 0) for logits in few) * weights[y] / whole
        total["divergence"] += pairs(balanced) / len(labels)
        total["hard_divergence"] += pairs(few) / len(labels)
    return total


@pytest.mark.parametrize("options", [{}, {"experts": 2, "hard": 0.5, "hard_weight": 0.5, "distillation": 0.3}])
@pytest.mark.parametrize(("others", "epoch"), [([], 0), ([DeferredReweighting], 8)])
def test_step_by_a_slow_loss(options: dict[str, Any], others: list[type[ltbench.Method]], epoch: int,
                             digits_batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    known = facts(COUNTS, 16)
    method = NestedCollaboration(known, contrast=0.0, **options)
    engine = first_stage([method, *(other(known) for other in others)])
    images, labels = digits_batch[0][:12], digits_batch[1][:12]
    step = method.step(at_epoch(engine, epoch), {"main": batch_of(images, labels)})
    weights = [(1 - 0.9999) / (1 - 0.9999**n) if others else 1.0 for n in COUNTS]
    said = step.output.extra["expert_logits"].tolist()
    parts = slow_loss(said, labels.tolist(), weights, 5 if options else 3)
    assert {name: float(part.detach()) for name, part in step.logs.items()} == pytest.approx(parts, rel=1e-3, abs=1e-5)
    hard, distilled = (0.5, 0.3) if options else (1.0, 0.6)
    expected = parts["all_classes"] + hard * parts["hard_classes"] + distilled * (parts["divergence"] + parts["hard_divergence"])
    assert float(step.loss.detach()) == pytest.approx(expected, rel=1e-4)
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in engine.backbone.parameters())


def test_classes_that_are_not_hard_leave_the_softmax() -> None:
    """Of four equal classes, two hard ones with logits 0: the loss is log 2. Two more zeros would make it log 4."""

    class Fixed(torch.nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[0.0, 0.0, -9.0, -9.0]]).expand(len(features), 4)

    method = NestedCollaboration(facts([1, 1, 1, 1], 16), hard=0.5, contrast=0.0)
    engine = first_stage([method])
    engine.head = ltbench.ExpertHead([Fixed() for _ in range(3)])
    step = method.step(at_epoch(engine, 0), {"main": batch_of(torch.zeros(1, 1, 8, 8), torch.tensor([0]))})
    assert float(step.logs["hard_classes"]) == pytest.approx(3 * math.log(2))


def test_the_loss_is_that_of_the_balanced_softmax() -> None:
    logits, labels = torch.randn(6, 10), torch.arange(6)
    expected = LogitAdjustment(facts(COUNTS), tau=1.0).criterion(logits, labels)
    torch.testing.assert_close(NestedCollaboration(facts(COUNTS)).criterion(logits, labels), expected)


def test_contrast_by_hand() -> None:
    # Own key: cosine 1. One key in the queue, at a right angle: cosine 0. At temperature 1/2: log(1 + exp(-2)), for two networks.
    method = NestedCollaboration(facts(COUNTS, 4), experts=2, temperature=0.5, queue=3, dim=2)
    queries = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    torch.testing.assert_close(method.contrasted(queries, queries), torch.zeros(1))  # nothing in the queue yet
    method.queue[:, 0] = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    method.filled += 1
    torch.testing.assert_close(method.contrasted(queries, queries), torch.tensor([2 * math.log(1 + math.exp(-2))]))


def test_queues_hold_the_latest_keys_of_each_network() -> None:
    known = facts(COUNTS, 16)
    method = NestedCollaboration(known, experts=2, queue=3, dim=2)
    ctx = first_stage([method]).ctx
    rows = torch.arange(8.0).view(2, 2, 2)  # two images, two networks
    seen = [Seen(torch.zeros(2, 1), torch.zeros(2), torch.zeros(2), {"keys": keys}) for keys in (rows, rows + 100)]
    method.after_step(ctx, seen[0])
    assert int(method.filled) == 2
    method.after_step(ctx, seen[1])
    assert int(method.filled) == 3
    assert method.queue.tolist() == [[[100, 101], [104, 105], [0, 1]], [[102, 103], [106, 107], [2, 3]]]


def test_keys_are_of_the_second_view_by_networks_that_follow(digits_batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    method = NestedCollaboration(facts(COUNTS, 16))
    engine = first_stage([method])
    images, labels = digits_batch[0][:6], digits_batch[1][:6]
    batch = batch_of(images, labels)
    batch.views = [images, images.flip(3)]
    step = method.step(at_epoch(engine, 0), {"main": batch})
    assert method.projections is not None
    # At the start the followers are the networks themselves.
    expected = method.projections(engine.backbone(images.flip(3)))
    torch.testing.assert_close(step.rows["keys"], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(expected.norm(dim=2), torch.ones(6, 3))
    assert "contrast" in step.logs and not step.rows["keys"].requires_grad


def test_three_whole_networks() -> None:
    method = NestedCollaboration(facts(COUNTS, 64))
    backbone = method.build_backbone(BackboneFactory("resnet32", CifarResNet))
    alone = sum(parameter.numel() for parameter in CifarResNet().parameters())
    assert (sum(parameter.numel() for parameter in backbone.parameters()), backbone.feature_dim) == (3 * alone, 3 * 64)


def test_views(tmp_path: Path) -> None:
    for text, expected in (("ncl", 2), ("ncl(contrast=0)", 1)):
        engine, _, _ = Scene(installed()).build(text, tmp_path)
        views = engine.method("ncl").views(engine.ctx)
        assert len(views) == expected and views[0] == engine.ctx.protocol.augmentation


@pytest.mark.parametrize(("other", "slot"), [("mixup", "mix"), ("la", "criterion"), ("ldam", "make_classifier"),
                                             ("sade", "build_backbone")])
def test_what_cannot_stand_beside_it(other: str, slot: str, tmp_path: Path) -> None:
    with pytest.raises(ltbench.UserError, match=f"'ncl' and '{other}' cannot stand in one stack: both own '{slot}'"):
        Scene(installed()).build(f"ncl+{other}", tmp_path)


def test_settings_of_the_public_code() -> None:
    """Bazinga699/NCL, config/*; the batch of README.md over all devices."""
    cifar, imagenet, inat = (NestedCollaboration.paper(Task(*task)) for task in (
        ("cifar100-lt", 100.0), ("imagenet-lt", None), ("inat18", None)))
    assert cifar is not None and imagenet is not None and inat is not None
    assert (cifar.protocol["epochs"], cifar.protocol["batch_size"], cifar.protocol["weight_decay"]) == (400, 64, 2e-4)
    assert (cifar.protocol["milestones"], cifar.protocol["warmup"]) == ((320 / 400, 360 / 400), 5 / 400)
    assert (imagenet.protocol["epochs"], imagenet.protocol["batch_size"]) == (200, 256)
    assert imagenet.hyperparameters == {"classifier": "cosine", "contrast": 0.0}
    assert (inat.protocol["epochs"], inat.protocol["batch_size"], inat.hyperparameters["scale"]) == (400, 512, 32.0)
    method = NestedCollaboration(facts(COUNTS, 4))
    assert (method.distillation, method.temperature, method.scale, method.queue.shape) == (0.6, 0.2, 16.0, (3, 1024, 64))
    assert NestedCollaboration.paper(Task("cifar10-lt", 100.0)) is None


def test_refuses_bad_values() -> None:
    for options, message in (({"experts": 1}, "experts must be >= 2, got 1"), ({"hard": 0.0}, r"hard must be in \(0, 1\], got 0"),
                             ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1"),
                             ({"queue": 0}, "queue must be >= 1, got 0")):
        with pytest.raises(ValueError, match=message):
            NestedCollaboration(facts(COUNTS), **options)
