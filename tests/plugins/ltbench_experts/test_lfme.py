from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import ltbench
from ltbench.method.values import Seen
from ltbench.terms.task import Task
from ltbench.testing.scene import Scene, installed
from ltbench.training.engine import Engine
from ltbench_baselines.drw import DeferredReweighting
from ltbench_experts.divergence import NEVER
from ltbench_experts.lfme import TaughtByExperts
from ltbench_experts.lfme_experts import ShotExperts
from ltbench_experts.shots import own_classes
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.stages import facts, softmax_loss

COUNTS = [200, 120, 90, 60, 40, 30, 25, 8, 5, 2]  # two, five and three classes
GROUPS = [[0, 1], [2, 3, 4, 5, 6], [7, 8, 9]]
IMAGES = torch.randn(6, 1, 8, 8)


def test_classes_of_each_expert() -> None:
    assert [classes.nonzero()[:, 0].tolist() for classes in own_classes(torch.tensor(COUNTS))] == GROUPS
    assert own_classes(torch.tensor([300, 200, 50, 40, 9, 0]))[2].tolist() == [False] * 4 + [True] * 2
    # Two classes of many images, one of medium, none of few: thirds by rank.
    assert own_classes(torch.tensor([50, 300, 400])).long().tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert own_classes(torch.tensor([9, 9, 8, 7]))[0].tolist() == [True, True, False, False]
    assert own_classes(torch.tensor([3, 5])).tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize(("others", "epoch"), [([], 0), ([DeferredReweighting], 8)])
def test_experts_by_a_slow_loss(others: list[type[ltbench.Method]], epoch: int,
                                digits_batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    known = facts(COUNTS, 16)
    engine = first_stage([ShotExperts(known), *(other(known) for other in others)])
    images = digits_batch[0][:12].split(4)
    labels = [torch.tensor(labels) for labels in ([0, 1, 1, 0], [2, 6, 4, 4], [7, 8, 9, 9])]
    batches = {name: batch_of(*pair) for name, pair in zip(("main", "second", "third"), zip(images, labels, strict=True),
                                                           strict=True)}
    step = engine.method("lfme_experts").step(at_epoch(engine, epoch), batches)
    weights = [(1 - 0.9999) / (1 - 0.9999**n) if others else 1.0 for n in COUNTS]
    total = 0.0
    for number, (group, seen, answers) in enumerate(zip(GROUPS, images, labels, strict=True)):
        said = engine.head(engine.backbone(seen)).extra["expert_logits"][:, number].tolist()
        each = [weights[y] * softmax_loss([row[k] for k in group], group.index(y))
                for row, y in zip(said, answers.tolist(), strict=True)]
        total += sum(each) / sum(weights[y] for y in answers.tolist())
    assert float(step.loss.detach()) == pytest.approx(total, rel=1e-4)
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in engine.parameters() if p.requires_grad)


def test_each_expert_learns_from_its_own_images_alone() -> None:
    """Networks are independent: other images change neither the weights nor the batch statistics of an expert."""
    def first_expert(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        engine = first_stage([ShotExperts(facts(COUNTS, 16))])
        engine.train()
        torch.manual_seed(seed)
        others = {name: batch_of(torch.randn(6, 1, 8, 8), labels)
                  for name, labels in (("second", torch.arange(6) % 5 + 2), ("third", torch.arange(6) % 3 + 7))}
        batches = {"main": batch_of(IMAGES, torch.arange(6) % 2), **others}
        engine.method("lfme_experts").step(at_epoch(engine, 0), batches).loss.backward()  # type: ignore[no-untyped-call]
        expert = engine.backbone.experts[0]
        return {**dict(expert.named_buffers()), **{name: p.grad for name, p in expert.named_parameters() if p.grad is not None}}

    one, other = first_expert(1), first_expert(2)
    assert len(one) > 20 and all(torch.equal(one[name], other[name]) for name in one)


def test_a_class_has_the_logit_of_its_own_expert() -> None:
    engine = first_stage([ShotExperts(facts(COUNTS, 16))])
    output = engine.head(engine.backbone(IMAGES))
    each = output.extra["expert_logits"]
    torch.testing.assert_close(output.logits, torch.cat([each[:, i, group] for i, group in enumerate(GROUPS)], dim=1))


def taught(tmp_path: Path) -> Engine:
    engine, _, _ = Scene(installed()).build("lfme_experts/lfme", tmp_path)
    return engine.eval()


def test_pace_by_hand() -> None:
    # Mean images: 160, 49 and 5. An image of class 3, whose expert is .6 sure where it was .2 to 1 sure of others: half way from
    # 5/49 to 1. At a quarter of the training, which paces half of it, the weight is half way from there to 1.
    method = TaughtByExperts(facts(COUNTS))
    torch.testing.assert_close(method.floor, torch.tensor([5 / 160] * 2 + [5 / 49] * 5 + [1.0] * 3))
    method.hardest[3], method.easiest[3] = 0.2, 1.0
    confidence, labels = torch.tensor([0.6, 0.2, 0.1, 1.0]), torch.full((4,), 3)
    begin = 5 / 49 + (1 - 5 / 49) * 0.5
    torch.testing.assert_close(method.pace(confidence, labels, 0.0), torch.tensor([begin, 5 / 49, 5 / 49, 1.0]))
    torch.testing.assert_close(method.pace(confidence, labels, 0.25)[0], torch.tensor((begin + 1) / 2))
    for late in (0.5, 0.9):  # never above 1, as a straight line would go
        torch.testing.assert_close(method.pace(confidence, labels, late), torch.ones(4))
    torch.testing.assert_close(method.pace(confidence, torch.full((4,), 7), 0.0), torch.ones(4))  # few images
    torch.testing.assert_close(method.pace(confidence, torch.full((4,), 4), 0.0), torch.ones(4))  # nothing seen yet


def test_divergence_by_hand() -> None:
    # At T = 2, logits 2 log 3 and 0 are 3/4 and 1/4. A pupil that finds both alike: 3/4 log(3/2) + 1/4 log(1/2).
    method = TaughtByExperts(facts([200, 150, 30, 30, 5, 4]))
    wanted = torch.tensor([[2 * math.log(3), 0.0, 1.0, 1.0, 0.0, 0.0]])[:, None].masked_fill(~method.own, NEVER)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    said = torch.tensor([[1.0, 1.0, 7.0, 7.0, -3.0, -3.0]])
    torch.testing.assert_close(method.divergence(said, wanted), torch.tensor([expected, 0.0, 0.0]))


def test_a_pupil_that_says_what_every_expert_says_has_nothing_to_learn_from_them() -> None:
    """The divergences fix logits within an expert's classes only: how experts compare is learned from labels."""
    method = TaughtByExperts(facts(COUNTS))
    logits, shift = torch.randn(5, 10), torch.tensor([3.0] * 2 + [-1.0] * 5 + [8.0] * 3)
    wanted = logits[:, None].expand(-1, 3, -1).masked_fill(~method.own, NEVER)
    torch.testing.assert_close(method.divergence(logits + shift, wanted), torch.zeros(3), atol=1e-6, rtol=0)


def test_experts_count_less_the_nearer_the_pupil_comes() -> None:
    # Threshold .3. Expert right in 10, 10, 8 images, pupil in 3, 8, 8: 1, (1 - .8) / .7 and 0.
    method = TaughtByExperts(facts(COUNTS))
    ctx = first_stage([ShotExperts(facts(COUNTS, 16))]).ctx
    method.right.copy_(torch.tensor([[3.0, 10.0], [8.0, 10.0], [8.0, 8.0]]))
    method.end_epoch(ctx)
    torch.testing.assert_close(method.trust, torch.tensor([1.0, 0.2 / 0.7, 0.0]))
    assert not method.right.any()
    method.right.copy_(torch.tensor([[2.0, 10.0], [9.0, 8.0], [0.0, 0.0]]))  # below the threshold; above the expert; not seen
    method.end_epoch(ctx)
    assert method.trust.tolist() == [1.0, 0.0, 1.0]


def test_what_is_noted_after_a_step() -> None:
    method = TaughtByExperts(facts(COUNTS))
    ctx = first_stage([ShotExperts(facts(COUNTS, 16))]).ctx
    labels = torch.tensor([0, 3, 3, 9])
    rows = {"confidence": torch.tensor([0.5, 0.2, 0.9, 1.0]), "right": torch.tensor([[0, 1], [1, 1], [0, 0], [1, 0]])}
    method.after_step(ctx, Seen(torch.zeros(4, 1), labels, torch.arange(4), rows))
    assert method.right.tolist() == [[0, 1], [1, 1], [1, 0]]
    torch.testing.assert_close(torch.stack([method.hardest, method.easiest])[:, [0, 3, 5]],
                               torch.tensor([[0.5, 0.2, 1.0], [0.5, 0.9, 0.0]]))


def test_pupil_by_a_slow_loss(tmp_path: Path, digits_batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    engine = taught(tmp_path)
    method, before = engine.method("lfme"), engine.ctx.previous
    groups = [classes.nonzero()[:, 0].tolist() for classes in method.own]
    assert before is not None and len(groups) > 1
    images, labels = digits_batch[0][:10], torch.arange(10)
    method.hardest.fill_(0.05)
    method.easiest.fill_(0.9)
    method.trust.copy_(torch.linspace(0.4, 1.0, len(groups)))
    engine.ctx.epoch = 0
    step = method.step(engine.ctx, {"main": batch_of(images, labels)})
    said, wanted = step.output.logits.tolist(), before.output(images).extra["expert_logits"].tolist()
    total, sure = 0.0, []
    for row, experts, y in zip(said, wanted, labels.tolist(), strict=True):
        expert = next(i for i, group in enumerate(groups) if y in group)
        confidence = math.exp(-softmax_loss([experts[expert][k] for k in groups[expert]], groups[expert].index(y)))
        floor = float(method.floor[y])
        sure.append(confidence)
        total += softmax_loss(row, y) * (floor + (1 - floor) * min(1.0, max(0.0, (confidence - 0.05) / 0.85)))
        for i, group in enumerate(groups):
            teacher = [-softmax_loss([experts[i][k] / 2 for k in group], j) for j in range(len(group))]
            pupil = [-softmax_loss([row[k] / 2 for k in group], j) for j in range(len(group))]
            total += float(method.trust[i]) * sum(math.exp(t) * (t - p) for t, p in zip(teacher, pupil, strict=True))
    assert float(step.loss.detach()) == pytest.approx(total / len(labels), rel=1e-4)
    torch.testing.assert_close(step.rows["confidence"], torch.tensor(sure), rtol=1e-4, atol=1e-5)
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in engine.backbone.parameters())
    assert all(p.grad is None for p in before.backbone.parameters())


@pytest.mark.parametrize(("text", "message"), [
    ("ce/lfme", "'lfme' must stand on a stage that leaves 'ShotHead' (as 'lfme_experts' does), got 'ce', which leaves 'linear'"),
    ("ride/lfme", "'lfme' must stand on a stage that leaves 'ShotHead' (as 'lfme_experts' does), got 'ride', which leaves "
                  "'ExpertHead'"),
    ("lfme_experts/lfme+rs", "'lfme' and 'rs' cannot stand in one stack: both own 'streams'"),
    ("lfme_experts+sade", "'lfme_experts' and 'sade' cannot stand in one stack: both own 'build_backbone'")])
def test_what_cannot_stand_together(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ltbench.UserError) as error:
        Scene(installed()).build(text, tmp_path)
    assert message in str(error.value)


def test_settings_of_the_public_code() -> None:
    """xiangly55/LFME, config/ImageNet_LT/*.py."""
    experts, pupil = (method.paper(Task("imagenet-lt", None)) for method in (ShotExperts, TaughtByExperts))
    assert experts is not None and pupil is not None and pupil.stage1 == "lfme_experts"
    assert (experts.protocol["epochs"], experts.protocol["batch_size"], experts.protocol["schedule"]) == (120, 128, "cosine")
    assert (pupil.protocol["epochs"], pupil.protocol["batch_size"], pupil.protocol["milestones"]) == (90, 256, (5 / 9, 8 / 9))
    for setting in (experts, pupil):
        assert (setting.protocol["backbone"], setting.protocol["lr"], setting.protocol["weight_decay"]) == ("resnet10", 0.1, 5e-4)
    method = TaughtByExperts(facts(COUNTS))
    assert (method.temperature, method.threshold, method.distillation) == (2.0, 0.3, 1.0)
    assert TaughtByExperts.paper(Task("cifar100-lt", 100.0)) is None


def test_refuses_bad_values() -> None:
    for options, message in (({"temperature": 0.0}, "temperature must be > 0, got 0"),
                             ({"threshold": 1.0}, r"threshold must be in \[0, 1\), got 1"),
                             ({"paced": 0.0}, r"paced must be in \(0, 1\], got 0")):
        with pytest.raises(ValueError, match=message):
            TaughtByExperts(facts(COUNTS), **options)
