from __future__ import annotations

import pytest
import torch

import ltbench
from ltbench.terms.protocol import Protocol
from ltbench.terms.task import Task
from ltbench.training.optimization import Optimization
from ltbench_nc.center_loss import CenterLoss
from tests.support.scenes import facts, stage, step_of

COUNTS = [40, 10, 5]


def test_by_hand() -> None:
    # Centers start at the origin: half the mean of 1, 4 and 9.
    method = CenterLoss(facts(COUNTS), weight=0.3)
    engine = stage(method, 1)
    loss = method.extra_losses(engine.ctx, step_of(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([0, 0, 2])))["center"]
    assert float(loss.detach()) == pytest.approx(0.3 * 14 / 3 / 2)


def test_all_classes_weigh_the_same() -> None:
    gradients = []
    for label in range(3):
        method = CenterLoss(facts(COUNTS))
        engine = stage(method, 2)
        features = torch.ones(4, 2, requires_grad=True)
        method.extra_losses(engine.ctx, step_of(features, torch.full((4,), label)))["center"].backward()
        assert features.grad is not None
        gradients.append(features.grad)
    torch.testing.assert_close(gradients[0], gradients[1])
    torch.testing.assert_close(gradients[0], torch.full((4, 2), 0.003 / 4))  # lambda (x - c) / B, eq. 3


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_centers_move_as_eq_4_says_whatever_lambda_is(weight: float) -> None:
    method = CenterLoss(facts(COUNTS), weight=weight, rate=0.5)
    engine = stage(method, 4)
    features, labels = torch.randn(6, 4), torch.tensor([0, 0, 0, 1, 0, 1])
    with torch.no_grad():
        method.centers.normal_()
    before = method.centers.detach().clone()
    optimization = Optimization(engine, Protocol("common", "none", epochs=10), 100)
    optimization.set_rates(0)
    method.extra_losses(engine.ctx, step_of(features, labels))["center"].backward()
    optimization.optimizer.step()
    for k in range(3):
        rows = features[labels == k]
        change = (before[k] - rows).sum(dim=0) / (1 + len(rows))
        torch.testing.assert_close(method.centers[k].detach(), before[k] - 0.5 * change)


def test_experts_and_mixed_images() -> None:
    method = CenterLoss(facts([8, 2], 2), weight=2.0)
    engine = stage(method, 2)
    labels = torch.tensor([0, 1])
    targets: list[tuple[torch.Tensor, float | torch.Tensor]] = [(labels, 0.75), (labels.flip(0), 0.25)]
    features = torch.tensor([[1.0, 3.0], [2.0, 4.0]])
    with torch.no_grad():
        method.centers.copy_(torch.tensor([[1.0, 3.0], [2.0, 4.0]]))
    loss = method.extra_losses(engine.ctx, step_of(features, labels, targets, experts=2))["center"]
    # Each expert: every image is 1 from its second class's center, with a share of 1/4.
    assert float(loss.detach()) == pytest.approx(2 * (0.5 * 2.0 * (0.25 + 0.25) / 2))


def test_it_starts_when_told() -> None:
    method = CenterLoss(facts(COUNTS), start=0.5)
    engine = stage(method, 2)
    loss = method.extra_losses(engine.ctx, step_of(torch.ones(2, 2), torch.tensor([0, 1])))["center"]
    loss.backward()
    assert loss.detach() == 0 and method.centers.grad is not None and not method.centers.grad.any()
    engine.ctx.epoch = 5
    assert method.extra_losses(engine.ctx, step_of(torch.ones(2, 2), torch.tensor([0, 1])))["center"] > 0


def test_setting_of_table_7() -> None:
    setting = CenterLoss.paper(Task("cifar100-lt", 100.0))
    assert setting is not None
    # lambda_1 on the whole squared distance is twice as much on the half.
    assert setting.hyperparameters == {"weight": 0.02, "start": 0.5} and setting.companions == ("mixup",)
    assert CenterLoss.paper(Task("inat18", None)) is None


def test_refuses_bad_values() -> None:
    for options, message in (({"weight": -1.0}, "weight must be >= 0, got -1"),
                             ({"rate": 0.0}, r"rate must be in \(0, 1\], got 0"),
                             ({"start": -0.1}, r"start must be in \[0, 1\], got -0.1")):
        with pytest.raises(ValueError, match=message):
            CenterLoss(facts(COUNTS), **options)
    with pytest.raises(ltbench.UserError, match="needs the optimizer sgd, got adamw"):
        stage(CenterLoss(facts(COUNTS)), 2, Protocol("common", "none", epochs=1, optimizer="adamw"))
