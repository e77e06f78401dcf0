from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import ltbench
from ltbench.backbones.cifar_resnet import CifarResNet
from ltbench.method.factories import BackboneFactory
from ltbench.terms.task import Task
from ltbench.testing.scene import Scene, installed
from ltbench_baselines.drw import DeferredReweighting
from ltbench_experts.sade import SkillDiverseExperts, mirrored
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.stages import facts, softmax_loss

COUNTS = [40, 30, 22, 16, 12, 9, 6, 4, 3, 2]


def test_shifts_by_hand() -> None:
    # Priors 3/4 and 1/4; in reverse 1/4 and 3/4. At tau = 2 the third expert's shift is log(3/4) - 2 log(1/4) = log 12 for the
    # large class and log(1/4) - 2 log(3/4) = log(4/9) for the small one.
    shifts = SkillDiverseExperts(facts([3, 1])).shifts.exp()
    torch.testing.assert_close(shifts, torch.tensor([[1.0, 1.0], [3 / 4, 1 / 4], [12.0, 4 / 9]]))


def test_reverse_of_several_classes_by_hand() -> None:
    torch.testing.assert_close(mirrored(torch.tensor([5.0, 1.0, 4.0, 2.0])), torch.tensor([1.0, 5.0, 2.0, 4.0]))
    # Two classes of one size would get 1 and 3 in an order that nothing decides: each gets 2.
    torch.testing.assert_close(mirrored(torch.tensor([3.0, 1.0, 3.0])), torch.tensor([2.0, 3.0, 2.0]))
    torch.testing.assert_close(mirrored(torch.full((4,), 2.0)), torch.full((4,), 2.0))


def test_the_order_of_classes_does_not_matter() -> None:
    counts, order = torch.tensor([9, 4, 4, 4, 2, 1, 1]), torch.tensor([3, 6, 0, 5, 2, 4, 1])
    straight = SkillDiverseExperts(ltbench.Facts(counts, 4, 1)).shifts
    torch.testing.assert_close(SkillDiverseExperts(ltbench.Facts(counts[order], 4, 1)).shifts, straight[:, order])


def test_each_expert_is_right_under_its_own_distribution() -> None:
    """The skills of the paper: with logits that fit images p(x | y), a shift s fits the plain logits to p(y) exp(-s)."""
    shifts = SkillDiverseExperts(facts(COUNTS)).shifts
    prior = torch.tensor(COUNTS) / sum(COUNTS)
    simulated = (prior * (-shifts).exp()) / (prior * (-shifts).exp()).sum(dim=1, keepdim=True)
    torch.testing.assert_close(simulated[0], prior)
    torch.testing.assert_close(simulated[1], torch.full_like(prior, 0.1))
    squared = prior.flip(0) ** 2  # of the reversed prior, for the counts are in order
    torch.testing.assert_close(simulated[2], squared / squared.sum())
    third = SkillDiverseExperts(facts(COUNTS), tau=0.0).shifts
    torch.testing.assert_close(third[2], third[1])


@pytest.mark.parametrize(("others", "epoch"), [([], 0), ([DeferredReweighting], 8)])
def test_step_by_a_slow_loss(others: list[type[ltbench.Method]], epoch: int,
                             digits_batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    known = facts(COUNTS, 16)
    engine = first_stage([SkillDiverseExperts(known, tau=1.5), *(other(known) for other in others)])
    images, labels = digits_batch[0][:12], digits_batch[1][:12]
    step = engine.method("sade").step(at_epoch(engine, epoch), {"main": batch_of(images, labels)})
    weights = [(1 - 0.9999) / (1 - 0.9999**n) if others else 1.0 for n in COUNTS]
    prior = [n / sum(COUNTS) for n in COUNTS]
    backward = [math.log(p) - 1.5 * math.log(q) for p, q in zip(prior, prior[::-1], strict=True)]
    shifts = [[0.0] * 10, [math.log(p) for p in prior], backward]
    losses = []
    for expert, shift in zip(step.output.extra["expert_logits"].unbind(dim=1), shifts, strict=True):
        each = [weights[y] * softmax_loss([z + s for z, s in zip(row, shift, strict=True)], y)
                for row, y in zip(expert.tolist(), labels.tolist(), strict=True)]
        losses.append(sum(each) / sum(weights[y] for y in labels.tolist()))
    assert [float(step.logs[name].detach()) for name in ("forward", "uniform", "backward")] == pytest.approx(losses, rel=1e-4)
    assert float(step.loss.detach()) == pytest.approx(sum(losses), rel=1e-4)
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in engine.backbone.parameters())


def test_plain_logits_predict(digits_batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    engine = first_stage([SkillDiverseExperts(facts(COUNTS, 16))])
    output = engine.ctx.engine.head(engine.backbone(digits_batch[0][:4]))
    torch.testing.assert_close(engine.predict(digits_batch[0][:4]), output.extra["expert_logits"].mean(dim=1))
    assert output.extra["expert_logits"].abs().max() <= 30


def test_weights_by_hand() -> None:
    """Stem 464 and stage 1 23,360 are shared; an expert has 24 channels in stage 2, 50,592, and 48 in stage 3, 197,952."""
    method = SkillDiverseExperts(facts(COUNTS, 64))
    backbone = method.build_backbone(BackboneFactory("resnet32", CifarResNet))
    assert sum(parameter.numel() for parameter in backbone.parameters()) == 769_456
    assert backbone.feature_dim == 3 * 48


def test_settings_of_the_public_code() -> None:
    """Vanint/SADE-AgnosticLT, configs/config_*_sade.json; Nesterov momentum is left out."""
    cifar, imagenet, inat = (SkillDiverseExperts.paper(Task(*task)) for task in (
        ("cifar100-lt", 100.0), ("imagenet-lt", None), ("inat18", None)))
    assert cifar is not None and imagenet is not None and inat is not None
    assert (cifar.protocol["weight_decay"], cifar.protocol["gamma"], cifar.hyperparameters) == (5e-4, 0.1, {})
    assert cifar.protocol["augmentation"] == ("crop", "flip", "rotation")
    assert (imagenet.protocol["epochs"], imagenet.protocol["batch_size"], imagenet.protocol["lr"]) == (180, 64, 0.025)
    assert (inat.protocol["milestones"], inat.protocol["weight_decay"], inat.hyperparameters) == ((0.6, 0.8), 2e-4, {"tau": 1.0})
    assert SkillDiverseExperts.paper(Task("cifar10-lt", 100.0)) is None


def test_refuses_bad_values() -> None:
    for options, message in (({"tau": -1.0}, "tau must be >= 0, got -1"), ({"width": 0.0}, "width must be > 0, got 0"),
                             ({"stages": 3}, r"stages must be in \[1, 2\], got 3"), ({"scale": 0.0}, "scale must be > 0, got 0")):
        with pytest.raises(ValueError, match=message):
            SkillDiverseExperts(facts(COUNTS), **options)


def test_no_other_classifier_may_join(tmp_path: Path) -> None:
    with pytest.raises(ltbench.UserError, match="'sade' and 'ldam' cannot stand in one stack: both own 'make_classifier'"):
        Scene(installed()).build("sade+ldam", tmp_path)
