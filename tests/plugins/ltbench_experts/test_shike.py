from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

import ltbench
from ltbench.backbones.cifar_resnet import CifarResNet
from ltbench.backbones.digits import DigitsNet
from ltbench.method.factories import BackboneFactory
from ltbench.terms.task import Task
from ltbench.testing.backbone import WithoutBatchNorm
from ltbench.testing.scene import Scene, installed
from ltbench_baselines.drw import DeferredReweighting
from ltbench_experts.shike import DepthFusion, SelfHeterogeneous, excavated
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.stages import facts, softmax_loss

COUNTS = [40, 30, 22, 16, 12, 9, 6, 4, 3, 2]


def own(labels: list[int], classes: int) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), classes).bool()


def test_teacher_by_hand() -> None:
    # Experts say (5, 2, 0, 0) and (1, 0, 1, 0) of an image of the first class. Of the others the second is the hardest: the means
    # are 1, 1/2 and 0. It has its mean, 1; the third the larger logit, 1; the fourth 0. Softmax: e, e and 1 over 2 e + 1.
    logits = torch.tensor([[[5.0, 2.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]]])
    expected = torch.tensor([[0.0, math.e, math.e, 1.0]]) / (2 * math.e + 1)
    torch.testing.assert_close(excavated(logits, own([0], 4)).exp(), expected)


def slow_parts(experts: list[list[list[float]]], owned: list[set[int]]) -> tuple[float, float]:
    """Return the divergences between experts and from the teacher, as means over images; experts' logits are by image."""

    def softmax(logits: list[float]) -> list[float]:
        powers = [math.exp(z) for z in logits]
        return [p / sum(powers) for p in powers]

    def divergence(p: list[float], q: list[float]) -> float:
        return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))

    mutual = hardest = 0.0
    for said, classes in zip(experts, owned, strict=True):
        spread = [softmax(logits) for logits in said]
        mutual += sum(divergence(p, q) for p in spread for q in spread if p is not q)
        wrong = [k for k in range(len(said[0])) if k not in classes]
        means = {k: sum(logits[k] for logits in said) / len(said) for k in wrong}
        worst = max(wrong, key=lambda k, means=means: means[k])  # type: ignore[misc]
        teacher = softmax([means[k] if k == worst else max(logits[k] for logits in said) for k in wrong])
        hardest += sum(divergence(teacher, softmax([logits[k] for k in wrong])) for logits in said)
    return mutual / len(experts), hardest / len(experts)


@pytest.mark.parametrize(("others", "epoch"), [([], 0), ([DeferredReweighting], 8)])
def test_step_by_a_slow_loss(others: list[type[ltbench.Method]], epoch: int, digits_batch: tuple[Tensor, Tensor]) -> None:
    known = facts(COUNTS, 16)
    engine = first_stage([SelfHeterogeneous(known, mutual=0.3, hardest=2.0), *(other(known) for other in others)])
    images, labels = digits_batch[0][:12], digits_batch[1][:12]
    step = engine.method("shike").step(at_epoch(engine, epoch), {"main": batch_of(images, labels)})
    weights = [(1 - 0.9999) / (1 - 0.9999**n) if others else 1.0 for n in COUNTS]
    said = step.output.extra["expert_logits"].tolist()
    parts = dict(zip(("mutual", "hardest"), slow_parts(said, [{y} for y in labels.tolist()]), strict=True))
    whole = sum(weights[y] for y in labels.tolist())
    parts["labels"] = sum(weights[y] * softmax_loss(row, y) / whole
                          for rows, y in zip(said, labels.tolist(), strict=True) for row in rows)
    assert {name: float(part.detach()) for name, part in step.logs.items()} == pytest.approx(parts, rel=1e-3)
    expected = parts["labels"] + 0.3 * parts["mutual"] + 2 * parts["hardest"]
    assert float(step.loss.detach()) == pytest.approx(expected, rel=1e-4)
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in engine.backbone.parameters())


def test_a_mixed_image_is_of_both_classes(tmp_path: Path) -> None:
    engine, _, _ = Scene(installed()).build("shike+mixup", tmp_path)
    labels = Scene(installed()).data.labels[:16]
    batch = ltbench.Batch(torch.randn(16, 1, 8, 8), labels, [(labels, 1.0)], torch.arange(16), labels)
    step = engine.method("shike").step(engine.ctx, {"main": batch})
    (first, _), (second, _) = step.batch.targets
    owned = [{a, b} for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    assert any(len(classes) == 2 for classes in owned)
    _, hardest = slow_parts(step.output.extra["expert_logits"].tolist(), owned)
    assert float(step.logs["hardest"].detach()) == pytest.approx(hardest, rel=1e-3)


class Says(torch.nn.Module):
    """Say of every image what it is told to."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, features: Tensor) -> Tensor:
        return self.logits.expand(len(features), -1)


def logged(said: list[list[float]], images: int = 1) -> dict[str, float]:
    method = SelfHeterogeneous(facts([1] * len(said[0]), 16), experts=len(said))
    engine = first_stage([method])
    engine.head = ltbench.ExpertHead([Says(logits) for logits in said])
    labels = torch.zeros(images, dtype=torch.int64)
    step = method.step(at_epoch(engine, 0), {"main": batch_of(torch.zeros(images, 1, 8, 8), labels)})
    return {name: float(value.detach()) for name, value in step.logs.items()}


def test_divergences_are_of_an_image_however_many_classes_there_are() -> None:
    """A mean over elements in place of one over images would halve both with twice the classes."""
    said = [[0.0, 1.0, 2.0], [3.0, 0.0, 1.0]]
    few, many = logged(said), logged([[*logits, *[-80.0] * 3] for logits in said])
    assert few["mutual"] > 0.1 and few["hardest"] > 0.01
    assert many == pytest.approx(few, rel=1e-4)
    assert logged(said, images=4) == pytest.approx(few, rel=1e-4)


def test_the_own_class_has_no_say_in_what_an_image_is_not() -> None:
    first, second = logged([[0.0, 1.0, 2.0], [3.0, 0.0, 1.0]]), logged([[9.0, 1.0, 2.0], [-5.0, 0.0, 1.0]])
    assert first["hardest"] == pytest.approx(second["hardest"], rel=1e-5)
    agreed = logged([[4.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    assert agreed["hardest"] == pytest.approx(0.0, abs=1e-6) and agreed["mutual"] > 0.1


@pytest.mark.parametrize(("build", "image"), [(CifarResNet, (3, 32, 32)), (DigitsNet, (1, 8, 8))])
def test_experts_read_maps_of_two_depths_in_turn(build: type[torch.nn.Module], image: tuple[int, int, int]) -> None:
    method = SelfHeterogeneous(facts(COUNTS, 64))
    backbone = method.build_backbone(BackboneFactory("small", build, image))
    assert isinstance(backbone, DepthFusion) and backbone.feature_dim == 3 * 64
    images = torch.randn(2, *image)
    embedding = backbone.eval()(images)
    early = backbone.stages[0](images)
    late = backbone.stages[1](early)
    for number, shallow in enumerate((early, late, early)):
        product = backbone.experts[number](late) * backbone.branches[number](shallow)
        torch.testing.assert_close(embedding[:, 64 * number:64 * (number + 1)], product.mean(dim=(2, 3)))


def test_weights_by_hand() -> None:
    """Stem 464, stages 23,360 and 88,192 are shared; a last stage has 351,488.

    A branch from the first depth has 4,608 + 18,432 weights and 2 (32 + 64) of batch norm, one from the second 18,432 + 2 x 64.
    """
    for experts, branches in ((2, 23_232 + 18_560), (3, 2 * 23_232 + 18_560)):
        method = SelfHeterogeneous(facts(COUNTS, 64), experts=experts)
        backbone = method.build_backbone(BackboneFactory("resnet32", CifarResNet))
        assert sum(p.numel() for p in backbone.parameters()) == 112_016 + experts * 351_488 + branches
    alike = SelfHeterogeneous(facts(COUNTS, 64), depths=1).build_backbone(BackboneFactory("resnet32", CifarResNet))
    assert sum(p.numel() for p in alike.parameters()) == 112_016 + 3 * (351_488 + 18_560)
    with pytest.raises(ltbench.UserError, match=r"must be in \[1, 2\], got 3"):
        SelfHeterogeneous(facts(COUNTS, 64), depths=3).build_backbone(BackboneFactory("resnet32", CifarResNet))


def test_branches_have_the_norm_of_the_backbone() -> None:
    for build, kind in ((DigitsNet, torch.nn.BatchNorm2d), (WithoutBatchNorm, torch.nn.GroupNorm)):
        backbone = SelfHeterogeneous(facts(COUNTS, 64)).build_backbone(BackboneFactory("small", build, (1, 8, 8)))
        norms = {type(part) for part in backbone.modules() if isinstance(part, torch.nn.BatchNorm2d | torch.nn.GroupNorm)}
        assert norms == {kind}


def test_setting_of_the_public_code() -> None:
    """jinyan-06/SHIKE, cifarTrain.py: 1 and 10 times means over images and 100 classes."""
    setting = SelfHeterogeneous.paper(Task("cifar100-lt", 100.0))
    assert setting is not None and SelfHeterogeneous.paper(Task("cifar10-lt", 100.0)) is None
    assert (setting.protocol["epochs"], setting.protocol["lr"], setting.protocol["weight_decay"]) == (180, 0.15, 5e-4)
    method = SelfHeterogeneous(facts(COUNTS, 64))
    assert (method.mutual, method.hardest, method.scale) == (1 / 100, 10 / 100, 30.0)


def test_refuses_bad_values() -> None:
    for options, message in (({"experts": 1}, "experts must be >= 2, got 1"),
                             ({"depths": 4}, r"depths must be in \[1, 3\], got 4"),
                             ({"mutual": -1.0}, "mutual must be >= 0, got -1"), ({"scale": 0.0}, "scale must be > 0, got 0")):
        with pytest.raises(ValueError, match=message):
            SelfHeterogeneous(facts(COUNTS), **options)
