from __future__ import annotations

from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltbench.data.samplers import ClassBalanced
from ltbench.method.context import Bank
from ltbench.method.stack import Stack
from ltbench.method.values import Step
from ltbench.terms.task import Task
from ltbench_baselines.dro_lt_public import PublicRobustness
from tests.support.first_stages import batch_of
from tests.support.stages import facts, later_stage, previous_stage


def test_the_head_stays_and_backbone_and_radii_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Identity, "feature_dim", 4, raising=False)  # the backbone of a stage on features
    method = PublicRobustness(facts([60, 12, 3], 4))
    before = nn.Linear(4, 3)
    labels = torch.arange(3).repeat(5)
    bank = Bank(torch.randn(15, 4), labels)
    engine = later_stage(method, bank, previous_stage(before, 4, 3))
    classifier = cast(nn.Linear, engine.head.classifier)
    assert torch.equal(classifier.weight, before.weight) and not any(p.requires_grad for p in engine.head.parameters())
    assert method.radius.requires_grad and method.radius.tolist() == [0.5, 0.5, 0.5]
    stack = Stack([method], 2)
    assert (stack.backbone, stack.inputs) == ("tuned", "images")
    assert not method.parameter_groups(engine.ctx)  # radii follow the stage's rate and decay
    assert isinstance(method.streams(engine.ctx)["main"], ClassBalanced)
    weights = cast(Tensor, method.class_weights(engine.ctx))
    assert (weights / weights.sum()).tolist() == pytest.approx([0.8, 0.16, 0.04])  # 1/3 each drawn: as by instances


def test_loss_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Own distance 1, the other's 3: with margins of 1 log(1 + e^-1) = .313262, twice."""
    monkeypatch.setattr(nn.Identity, "feature_dim", 1, raising=False)
    method = PublicRobustness(facts([2, 2], 1), weight=2.0)
    bank = Bank(torch.tensor([[0.0], [0.0], [3.0], [5.0]]), torch.tensor([0, 0, 1, 1]))
    engine = later_stage(method, bank, previous_stage(nn.Linear(1, 2), 1, 2))
    method.start_epoch(engine.ctx)
    assert method.centroids.tolist() == [[0.0], [4.0]]
    embedding, labels = torch.tensor([[1.0], [3.0]]), torch.tensor([0, 1])
    output = engine.head(embedding)
    step = Step(F.cross_entropy(output.logits, labels), output, batch_of(embedding, labels))
    extra = method.extra_losses(engine.ctx, step)["robustness"]
    assert float(extra.detach()) == pytest.approx(2 * 0.313262, abs=1e-5)
    extra.backward()  # type: ignore[no-untyped-call]
    assert method.radius.grad is not None and bool((method.radius.grad > 0).all())  # a larger radius never lowers the loss


@pytest.mark.parametrize("dataset", ["cifar10-lt", "cifar100-lt"])
def test_settings_of_the_public_instructions(dataset: str) -> None:
    setting = PublicRobustness.paper(Task(dataset, 100.0))
    assert setting is not None and setting.stage1 == "ce"
    assert setting.protocol == {"stage2_samples": 4_000_000, "stage2_batch_size": 128, "stage2_lr": 0.005, "momentum": 0.9,
                                "stage2_schedule": "constant", "stage2_weight_decay": 1e-4,
                                "augmentation": ("crop", "flip", "autoaugment", "cutout")}
    first = setting.stage1_protocol
    assert (first["lr"], first["weight_decay"], first["gamma"], first["milestones"]) == (0.1, 2e-4, 0.01, (0.8, 0.9))
    assert PublicRobustness.paper(Task("imagenet-lt", None)) is None


def test_refuses_bad_values() -> None:
    for name, value, message in (("epsilon", -1.0, "epsilon must be >= 0, got"), ("weight", -1.0, "weight must be >= 0, got"),
                                 ("temperature", 0.0, "temperature must be > 0")):
        with pytest.raises(ValueError, match=message):
            PublicRobustness(facts([1, 1]), **{name: value})
