from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path

import pytest
import torch

import ltbench
from ltbench import ExpertBackbone, ExpertHead
from ltbench.backbones import timm_family
from ltbench.backbones.cifar_resnet import CifarResNet
from ltbench.backbones.request import BackboneRequest
from ltbench.method.contract import Method
from ltbench.method.factories import BackboneFactory, HeadFactory
from ltbench.method.heads import CosineClassifier
from ltbench.method.values import Output, Step
from ltbench.terms.task import Task
from ltbench.testing.scene import Scene, installed
from ltbench_baselines.drw import DeferredReweighting
from ltbench_baselines.ride import RoutedExperts
from ltbench_baselines.rw import InverseFrequencyWeights
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.stages import at_progress, facts, softmax_loss

COUNTS = [60, 30, 10, 1]


def step_of(logits: torch.Tensor) -> Step:
    """Return a finished step whose experts say these logits (B, E, C)."""
    output = Output(logits[:, 0], logits[:, 0], logits.mean(dim=1), {"expert_logits": logits})
    return Step(torch.zeros(()), output, None)  # type: ignore[arg-type]


def slow_diversity(logits: torch.Tensor, temperatures: list[float]) -> float:
    """Return the summed KL divergence of the mean from each expert, averaged over samples, times the mean temperature squared."""
    total = 0.0
    for sample in logits.tolist():
        mean = [sum(column) / len(sample) for column in zip(*sample, strict=True)]

        def softmax(values: list[float]) -> list[float]:
            powers = [math.exp(v / t) for v, t in zip(values, temperatures, strict=True)]
            return [p / sum(powers) for p in powers]

        for expert in sample:
            total += sum(p * math.log(p / q) for p, q in zip(softmax(mean), softmax(expert), strict=True))
    return total / len(logits) * (sum(temperatures) / len(temperatures)) ** 2


def test_temperatures_by_hand() -> None:
    # Counts 3 and 1: relative to their mean 1.5 and 0.5. With gamma = 1/2: 1.25 and 0.75, divided by the largest.
    method = RoutedExperts(facts([3, 1]), awareness=0.5, temperature=2.0)
    torch.testing.assert_close(method.temperatures, torch.tensor([2.0, 1.2]))
    torch.testing.assert_close(RoutedExperts(facts([3, 1]), awareness=0.0).temperatures, torch.ones(2))
    assert (RoutedExperts(facts([10_000, 1, 1]), awareness=1.0).temperatures > 0).all()


def test_temperatures_of_the_public_factor_by_hand() -> None:
    # Counts 300 and 100 are 1.5 and .5 of their mean: 1.025 and .975, divided by the largest.
    method = RoutedExperts(facts([300, 100]))
    torch.testing.assert_close(method.temperatures, torch.tensor([1.0, 0.975 / 1.025]))
    assert float(method.temperatures.mean()) ** 2 == pytest.approx(0.975610**2, rel=1e-5)


@pytest.mark.parametrize(("diversity", "loss"), [(0.45, -0.108103), (0.2, -0.048046)])
def test_diversity_by_hand(diversity: float, loss: float) -> None:
    """Two experts say (1, 0) and (-1, 0), their mean (0, 0): KL is .5 ln(.5 / .7310586) + .5 ln(.5 / .2689414) = .120115 each."""
    method = RoutedExperts(facts([2, 2]), experts=2, diversity=diversity)
    step = step_of(torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]]))
    assert float(method.extra_losses(at_progress(0.0), step)["diversity"]) == pytest.approx(loss, abs=1e-6)


@pytest.mark.parametrize("progress", [0.0, 0.8])
def test_diversity_by_a_slow_loop(progress: float) -> None:
    method = RoutedExperts(facts(COUNTS), diversity=0.3, temperature=1.5, awareness=0.2)
    logits = torch.randn(6, 3, 4)
    temperatures = method.temperatures.tolist() if progress >= 0.8 else [1.5] * 4
    loss = method.extra_losses(at_progress(progress), step_of(logits))["diversity"]
    assert float(loss) == pytest.approx(-0.3 * slow_diversity(logits, temperatures), rel=1e-4)


def test_diversity_drives_experts_apart_and_vanishes_where_they_agree() -> None:
    method = RoutedExperts(facts(COUNTS))
    same = torch.randn(5, 1, 4).expand(5, 3, 4)
    assert float(method.extra_losses(at_progress(0.9), step_of(same))["diversity"]) == pytest.approx(0, abs=1e-6)
    logits = torch.randn(5, 3, 4, requires_grad=True)
    before = method.extra_losses(at_progress(0.9), step_of(logits))["diversity"]
    before.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    after = method.extra_losses(at_progress(0.9), step_of(logits.detach() - logits.grad))["diversity"]
    assert after < before.detach() < 0
    assert RoutedExperts(facts(COUNTS), diversity=0.0).extra_losses(at_progress(0.0), step_of(logits)) == {}


@pytest.mark.parametrize("progress", [0.0, 0.8])
def test_the_mean_is_a_constant_to_the_diversity(progress: float) -> None:
    """The gradient of KL(p || softmax(z / t)) with p held fixed is (q - p) / t.

    Through p it would be 0: of all p, the softmax of the mean logits has the smallest sum of divergences. So whether p is held
    fixed shows only in where the gradient goes.
    """
    method = RoutedExperts(facts(COUNTS), diversity=0.3, temperature=1.5, awareness=0.2)
    logits = torch.randn(6, 3, 4, requires_grad=True)
    step = step_of(logits)
    mean = step.output.logits.detach().requires_grad_()
    step = dataclasses.replace(step, output=dataclasses.replace(step.output, logits=mean))
    method.extra_losses(at_progress(progress), step)["diversity"].backward()  # type: ignore[no-untyped-call]
    assert mean.grad is None
    t = method.temperatures if progress >= 0.8 else torch.full((4,), 1.5)
    with torch.no_grad():
        p, q = (logits.mean(dim=1, keepdim=True) / t).softmax(dim=2), (logits / t).softmax(dim=2)
        expected = -0.3 * t.mean() ** 2 * (q - p) / t / 6
    torch.testing.assert_close(logits.grad, expected)


@pytest.mark.parametrize("experts", [2, 3, 4])
def test_experts_share_a_trunk_and_are_three_quarters_wide(experts: int) -> None:
    method = RoutedExperts(facts(COUNTS, 64), experts=experts)
    backbone = method.build_backbone(BackboneFactory("resnet8", lambda: CifarResNet(8)))
    assert isinstance(backbone, ExpertBackbone) and backbone.feature_dim == experts * 48
    images = torch.randn(2, 3, 8, 8)
    embedding = backbone.eval()(images)
    assert embedding.shape == (2, experts * 48)
    torch.testing.assert_close(embedding[:, 48:96], backbone.experts[1](backbone.trunk(images)))

    head = method.build_head(HeadFactory(lambda d, c: CosineClassifier(d, c), backbone.feature_dim, 4))
    assert isinstance(head, ExpertHead)
    output = head(embedding)
    assert output.extra["expert_features"].shape == (2, experts, 48)
    torch.testing.assert_close(output.extra["expert_logits"][:, 1], head.classifiers[1](embedding[:, 48:96]))
    torch.testing.assert_close(output.logits, output.extra["expert_logits"].mean(dim=1))


def weights(backbone: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in backbone.parameters())


def test_weights_by_hand() -> None:
    """Stem 464 and stage 1 23,360 are shared; an expert has 24 channels in stage 2, 50,592, and 48 in stage 3, 197,952."""
    for experts, expected in ((2, 520_912), (3, 769_456), (4, 1_018_000)):
        method = RoutedExperts(facts(COUNTS, 64), experts=experts)
        assert weights(method.build_backbone(BackboneFactory("resnet32", CifarResNet))) == expected
    last = RoutedExperts(facts(COUNTS, 64), stages=1)
    assert weights(last.build_backbone(BackboneFactory("resnet32", CifarResNet))) == 716_240


def test_weights_of_the_large_network_by_hand() -> None:
    build = functools.partial(timm_family.build, BackboneRequest("resnext50_32x4d", 3, 64))
    backbone = RoutedExperts(facts(COUNTS, 2048)).build_backbone(BackboneFactory("timm:resnext50_32x4d", build))
    assert weights(backbone) == 1_412_416 + 3 * 12_289_536
    assert isinstance(backbone, ExpertBackbone) and backbone.feature_dim == 3 * 1536
    assert backbone.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 3 * 1536)


def test_it_needs_a_backbone_that_can_be_split() -> None:
    class Whole(torch.nn.Module):
        feature_dim = 8

    class Once(Whole):
        """Offer the form of one last stage only."""

        trunk = torch.nn.Identity()
        pool = staticmethod(torch.nn.Flatten())

        def make_last_stage(self, width: float = 1.0) -> torch.nn.Module:
            return torch.nn.Identity()

    for stages, build in ((1, Whole), (2, Whole), (2, Once)):
        with pytest.raises(ltbench.UserError, match="cannot be split" if stages == 1 else "before its last 2 stages"):
            RoutedExperts(facts(COUNTS), stages=stages).build_backbone(BackboneFactory("whole", build))
    assert RoutedExperts(facts(COUNTS), stages=1).build_backbone(BackboneFactory("once", Once))


@pytest.mark.parametrize("text", ["ride", "ride+mixup", "ride+ldam+drw", "ride+la"])
def test_each_expert_is_trained_by_the_stacks_criterion(text: str, tmp_path: Path) -> None:
    engine, runner, plan = Scene(installed()).build(text, tmp_path)
    ctx, method = engine.ctx, engine.method("ride")
    data = Scene(installed()).data
    labels = data.labels[:16]
    images = torch.randn(16, 1, 8, 8)
    batch = ltbench.Batch(images, labels, [(labels, 1.0)], torch.arange(16), labels)
    ctx.generator.manual_seed(0)
    step = method.step(ctx, {"main": batch})
    expected = torch.zeros(())
    for logits in step.output.extra["expert_logits"].unbind(dim=1):
        for targets, share in step.batch.targets:
            expected = expected + (ctx.criterion(logits, targets) * share).sum() / 16
    torch.testing.assert_close(step.loss, expected)
    assert len(step.batch.targets) == (2 if "mixup" in text else 1)
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in engine.backbone.parameters())


@pytest.mark.parametrize(("others", "epoch", "exponents"), [
    ([DeferredReweighting], 7, (0, 0)), ([DeferredReweighting], 8, (1, 0)), ([InverseFrequencyWeights], 0, (0, 1)),
    ([DeferredReweighting, InverseFrequencyWeights], 8, (1, 1))])
def test_experts_honor_class_weights(others: list[type[Method]], epoch: int, exponents: tuple[int, int],
                                     digits_batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    counts = [40, 30, 22, 16, 12, 9, 6, 4, 3, 2]
    known = facts(counts, 16)
    engine = first_stage([RoutedExperts(known), *(other(known) for other in others)])
    images, labels = digits_batch[0][:16], digits_batch[1][:16]
    step = engine.method("ride").step(at_epoch(engine, epoch), {"main": batch_of(images, labels)})
    weights = [((1 - 0.9999) / (1 - 0.9999**n)) ** exponents[0] * (1 / n) ** exponents[1] for n in counts]
    expected = 0.0
    for expert in step.output.extra["expert_logits"].unbind(dim=1):
        losses = [weights[y] * softmax_loss(row, y) for row, y in zip(expert.tolist(), labels.tolist(), strict=True)]
        expected += sum(losses) / sum(weights[y] for y in labels.tolist())
    assert float(step.loss) == pytest.approx(expected, rel=1e-3)


def test_settings_of_the_public_code() -> None:
    cifar, imagenet, inat = (RoutedExperts.paper(Task(*task)) for task in (
        ("cifar100-lt", 100.0), ("imagenet-lt", None), ("inat18", None)))
    assert cifar is not None and imagenet is not None and inat is not None
    assert cifar.companions == imagenet.companions == inat.companions == ("ldam", "drw")
    assert RoutedExperts(facts(COUNTS)).diversity == 0.45 and RoutedExperts(facts(COUNTS)).own_stages == 2
    assert cifar.protocol["augmentation"] == ("crop", "flip", "rotation")
    assert inat.hyperparameters == {"diversity": 0.2, "awareness": 0.015}
    assert (inat.protocol["backbone"], inat.protocol["batch_size"], inat.protocol["lr"]) == ("timm:resnet50", 512, 0.2)
    assert (cifar.protocol["weight_decay"], cifar.protocol["gamma"], cifar.hyperparameters) == (5e-4, 0.01, {})
    assert (imagenet.protocol["weight_decay"], imagenet.protocol["epochs"]) == (2e-4, 100)
    assert imagenet.hyperparameters == {"diversity": 0.2, "awareness": 0.02}
    assert RoutedExperts.paper(Task("cifar10-lt", 100.0)) is None


def test_refuses_bad_values() -> None:
    for options, message in (({"experts": 1}, "experts must be >= 2, got 1"), ({"width": 0.0}, "width must be > 0, got 0"),
                             ({"diversity": -0.1}, "diversity must be >= 0, got -0.1"),
                             ({"stages": 3}, r"stages must be in \[1, 2\], got 3"),
                             ({"temperature": 0.0}, "temperature must be > 0, got 0"),
                             ({"awareness": 1.5}, r"awareness must be in \[0, 1\], got 1.5"),
                             ({"aware_from": -1.0}, r"aware_from must be in \[0, 1\], got -1")):
        with pytest.raises(ValueError, match=message):
            RoutedExperts(facts(COUNTS), **options)
