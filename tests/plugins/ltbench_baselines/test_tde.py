from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from ltbench.errors import UserError
from ltbench.method.stack import Stack
from ltbench.method.values import Output, Seen
from ltbench.terms.protocol import Protocol
from ltbench.terms.task import Task
from ltbench.testing.scene import Scene, installed
from ltbench.training.engine import Engine
from ltbench.training.optimization import Optimization
from ltbench_baselines.bbn import BilateralBranch
from ltbench_baselines.la import LogitAdjustment
from ltbench_baselines.ldam import LDAM
from ltbench_baselines.post_la import PostHocLogitAdjustment
from ltbench_baselines.tde import MultiHeadClassifier, TotalDirectEffect, scaled_momentum
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.stages import facts

COUNTS = [40, 30, 22, 16, 12, 9, 6, 4, 3, 2]


def _engine(**options: Any) -> tuple[Engine, TotalDirectEffect, MultiHeadClassifier]:
    engine = first_stage([TotalDirectEffect(facts(COUNTS, 16), **options)])
    return engine, cast(TotalDirectEffect, engine.method("tde")), cast(MultiHeadClassifier, engine.head.classifier)


def _output(engine: Engine, features: Tensor) -> Output:
    return Output(features, features, cast(nn.Module, engine.head.classifier)(features))


def test_logits_by_hand() -> None:
    classifier = MultiHeadClassifier(4, 1, heads=2, scale=10.0, norm_margin=1.0)
    with torch.no_grad():
        classifier.weight.copy_(torch.tensor([[3.0, 4.0, 0.0, 1.0]]))
    # First head: (3, 4) / (5 + 1) times (1, 0) = 1/2; second: (0, 1) / (1 + 1) times (0.6, 0.8) = 0.4; times 10 / 2.
    logits = classifier(torch.tensor([[2.0, 0.0, 3.0, 4.0]])).detach()
    assert float(logits) == pytest.approx(5 * (0.5 + 0.4))


def test_prediction_against_loops() -> None:
    engine, method, classifier = _engine(alpha=0.7, heads=4, scale=8.0, norm_margin=0.1)
    method.mean_feature.copy_(torch.randn(16))
    features = torch.randn(5, 16)
    logits = method.predict(engine.ctx, _output(engine, features)).detach()
    for i in range(5):
        for c in range(10):
            total = 0.0
            for k in range(4):
                part = slice(4 * k, 4 * k + 4)
                x, d, w = features[i, part], method.mean_feature[part], classifier.weight[c, part].detach()
                w, d = w / (w.norm() + 0.1), d / d.norm()
                total += 8.0 / 4 * float(w @ x / x.norm() - 0.7 * (x @ d / x.norm()) * (w @ d))
            assert float(logits[i, c]) == pytest.approx(total, abs=1e-4)


def test_nothing_is_subtracted_before_the_first_step_nor_with_alpha_zero() -> None:
    features = torch.randn(5, 16)
    for alpha in (0.0, 1.5):
        engine, method, _ = _engine(alpha=alpha)
        output = _output(engine, features)
        torch.testing.assert_close(method.predict(engine.ctx, output), output.logits)  # no mean yet
        method.mean_feature.copy_(torch.randn(16))
        same = torch.allclose(method.predict(engine.ctx, output), output.logits)
        assert same == (alpha == 0)


def test_an_image_of_the_common_direction_alone_says_nothing() -> None:
    """With alpha = 1 the direct effect of the mean feature itself is none, whatever its length."""
    engine, method, _ = _engine(alpha=1.0)
    method.mean_feature.copy_(torch.randn(16))
    logits = method.predict(engine.ctx, _output(engine, 3 * method.mean_feature[None]))
    torch.testing.assert_close(logits, torch.zeros(1, 10), atol=1e-5, rtol=0)


def test_the_mean_follows_as_momentum_does() -> None:
    engine, method, _ = _engine(momentum=0.9)
    labels, velocity = torch.zeros(6, dtype=torch.int64), torch.zeros(16)
    for _ in range(5):
        features = torch.randn(6, 16) + 1
        method.after_step(engine.ctx, Seen(features, labels, labels))
        velocity = 0.9 * velocity + features.mean(dim=0)
    torch.testing.assert_close(method.mean_feature / method.mean_feature.norm(), velocity / velocity.norm())


def test_nothing_is_subtracted_in_training(digits_batch: tuple[Tensor, Tensor]) -> None:
    """The loss is of the classifier's own logits, with a mean at hand that would change them."""
    engine = first_stage([LogitAdjustment(facts(COUNTS, 16)), TotalDirectEffect(facts(COUNTS, 16))])
    method, images, labels = cast(TotalDirectEffect, engine.method("tde")), digits_batch[0][:8], digits_batch[1][:8]
    method.mean_feature.copy_(torch.randn(16))
    loss, _, _ = engine({"main": batch_of(images, labels)})
    logits = cast(nn.Module, engine.head.classifier)(engine.backbone(images))
    adjusted = logits + (torch.tensor(COUNTS) / sum(COUNTS)).log()
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(adjusted, labels))
    assert float((engine.predict(images) - logits).abs().max()) > 0.1


def test_what_it_stands_with(digits_batch: tuple[Tensor, Tensor]) -> None:
    known = facts(COUNTS, 16)
    with pytest.raises(UserError, match="both own 'make_classifier'"):
        Stack([TotalDirectEffect(known), LDAM(known)], 1)
    branches = first_stage([BilateralBranch(known), TotalDirectEffect(known), PostHocLogitAdjustment(known)])
    images, labels = digits_batch
    batch = batch_of(images[:8], labels[:8])
    _, _, seen = branches({"main": batch, "reversed": batch})
    branches.after_step(Seen.of(seen))
    at_epoch(branches, 1)
    assert cast(TotalDirectEffect, branches.method("tde")).mean_feature.shape == (32,)  # both branches'
    assert bool(branches.predict(images[:8]).isfinite().all())
    with pytest.raises(UserError, match="heads must be a divisor of the 16 features, got 3"):
        first_stage([TotalDirectEffect(known, heads=3)])


@pytest.mark.parametrize(("options", "message"), [
    ({"alpha": -1.0}, "alpha must be >= 0"), ({"norm_margin": math.nan}, "norm_margin must be >= 0"),
    ({"heads": 0}, "heads must be > 0"), ({"scale": 0.0}, "scale must be > 0"), ({"momentum": 1.0}, "momentum must be in")])
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TotalDirectEffect(facts(COUNTS), **options)


def test_off_cifar_mu_follows_the_rate() -> None:
    for lr, mu in ((0.2, 0.9), (0.02, 0.9), (0.01, 0.95), (0.002, 0.99), (0.0, 1.0)):
        assert scaled_momentum(lr) == pytest.approx(mu)
    engine, method, _ = _engine(scaled_momentum=True)
    first, second, labels = torch.randn(6, 16), torch.randn(6, 16), torch.zeros(6, dtype=torch.int64)
    for lr, features in ((0.2, first), (0.01, second)):
        engine.ctx.lr = lr
        method.after_step(engine.ctx, Seen(features, labels, labels))
    # An exponential mean would be .095 a + .05 b, another direction: there mu would weigh the second mean, too.
    torch.testing.assert_close(method.mean_feature, 0.95 * first.mean(dim=0) + second.mean(dim=0))


def test_the_loop_says_the_rate_of_an_epoch(tmp_path: Path) -> None:
    engine, runner, plan = Scene(installed()).build("tde(scaled_momentum=true)", tmp_path)
    assert engine.ctx.lr == 0
    optimization = Optimization(engine, Protocol("common", "none", epochs=4, lr=0.2, warmup=0.0), 40)
    assert [optimization.rate(10 * epoch) for epoch in range(4)] == pytest.approx(
        [0.1 * (1 + math.cos(math.pi * epoch / 4)) for epoch in range(4)])
    assert optimization.optimizer.param_groups[0]["lr"] == 0.2  # asking changes nothing


def test_paper_setting() -> None:
    for dataset, ratio, own in (("cifar10-lt", 100.0, {"alpha": 1.0}), ("cifar100-lt", 100.0, {"alpha": 1.5}),
                                ("imagenet-lt", None, {"alpha": 3.0, "scaled_momentum": True}),
                                ("places-lt", None, {"alpha": 3.0, "scaled_momentum": True})):
        setting = TotalDirectEffect.paper(Task(dataset, ratio))
        assert setting is not None and setting.hyperparameters == own and setting.protocol["lr"] == 0.2
        assert setting.protocol["backbone"] == ("resnet32twin" if dataset.startswith("cifar") else "timm:resnext50_32x4d")
    assert TotalDirectEffect.paper(Task("digits-lt", 20.0)) is None
