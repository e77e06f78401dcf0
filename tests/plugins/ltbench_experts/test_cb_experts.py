from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import ltbench
from ltbench.terms.task import Task
from ltbench.testing.scene import Scene, installed
from ltbench.training.engine import Engine
from ltbench_experts.cb_calibration import CalibratedExperts, JointCalibration
from ltbench_experts.cb_experts import ClassBalancedExperts, RejectHead, WithOthers, joined
from tests.support.first_stages import batch_of
from tests.support.stages import facts, softmax_loss

COUNTS = [200, 120, 90, 60, 5, 2]
GROUPS = [[0, 1], [2, 3], [4, 5]]


def built(tmp_path: Path, text: str = "ce/cb_experts") -> Engine:
    engine, _, _ = Scene(installed()).build(text, tmp_path)
    engine.train()
    for method in engine.stack.methods:
        method.start_epoch(engine.ctx)
    return engine


def test_one_image_in_seventeen_is_of_another_class() -> None:
    labels = np.repeat(np.arange(4), [50, 30, 20, 10])
    drawn = labels[WithOthers((0, 2), 16.0).draw(labels, 170, np.random.default_rng(0))]
    assert len(drawn) == 170 and int(np.isin(drawn, [1, 3]).sum()) == 10
    assert 2 < int(np.isin(drawn[:85], [1, 3]).sum()) < 8  # among the others, not after them
    assert set(labels[WithOthers((0, 1, 2, 3), 16.0).draw(labels, 20, np.random.default_rng(0))]) <= {0, 1, 2, 3}
    assert len(WithOthers((0,), 16.0).draw(labels, 0, np.random.default_rng(0))) == 0


def test_joined_probabilities_by_hand() -> None:
    # The first expert gives its classes 1/2 and 1/4 and rejects 1/4, the second 1/8 and 1/8 and rejects 3/4. The sum is 1, so
    # that nothing changes; were the second to reject nothing (1/2 and 1/2), everything would be divided by 7/4.
    own = torch.tensor([[True, True, False, False], [False, False, True, True]])
    logits, rejects = torch.tensor([[2.0, 1.0, 1.0, 1.0]]).log(), torch.tensor([[1.0, 6.0]]).log()
    torch.testing.assert_close(joined(logits, rejects, own).exp(), torch.tensor([[1 / 2, 1 / 4, 1 / 8, 1 / 8]]))
    none = torch.tensor([[0.0, -1e4]])
    torch.testing.assert_close(joined(logits, none, own).exp(), torch.tensor([[2, 1, 2, 2]]) / 7)


def test_an_image_that_all_but_one_reject_is_the_class_that_this_one_says() -> None:
    own = torch.zeros(3, 6, dtype=torch.bool)
    for expert, group in enumerate(GROUPS):
        own[expert, group] = True
    logits = torch.tensor([[9.0, 0.0, 8.0, 0.0, 1.0, 2.0]])
    said = joined(logits, torch.tensor([[30.0, 30.0, -30.0]]), own)
    assert int(said.argmax()) == 5
    torch.testing.assert_close(said.exp()[0, 4:], torch.tensor([1.0, 2.0]).softmax(dim=0), atol=1e-5, rtol=1e-4)


def test_the_reject_logit_is_as_if_half_of_the_images_were_of_others() -> None:
    own = torch.eye(2, dtype=torch.bool)
    for ratio, shift in ((16.0, math.log(17 / 2)), (1.0, 0.0)):
        head = RejectHead([torch.nn.Linear(3, 2) for _ in range(2)], 3, own, ratio)
        parts = torch.randn(4, 6).chunk(2, dim=1)
        expected = torch.cat([reject(part) for reject, part in zip(head.rejects, parts, strict=True)], dim=1) + shift
        torch.testing.assert_close(head(torch.cat(parts, dim=1)).extra["rejects"], expected)


def test_others_share_one_logit() -> None:
    """The loss of an own image is that of a softmax over own classes and one more; that of another's is so but for log 4."""
    own = torch.tensor([True, True, False, False, False, False])
    logits, reject = torch.randn(3, 6), torch.randn(3, 1)
    spread = ClassBalancedExperts.with_reject(logits, reject, own)
    few = torch.cat([logits[:, :2], reject], dim=1)
    for label, place, more in ((0, 0, 0.0), (1, 1, 0.0), (2, 2, math.log(4)), (5, 2, math.log(4))):
        expected = [softmax_loss(row, place) + more for row in few.tolist()]
        loss = torch.nn.functional.cross_entropy(spread, torch.full((3,), label), reduction="none")
        torch.testing.assert_close(loss, torch.tensor(expected))


def test_step_by_a_slow_loss(tmp_path: Path, digits_batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    engine = built(tmp_path).eval()
    method, head = engine.method("cb_experts"), engine.head
    groups = [classes.nonzero()[:, 0].tolist() for classes in method.own]
    images, labels = digits_batch[0][:12].split(4), digits_batch[1][:12].split(4)
    batches = {name: batch_of(*pair) for name, pair in zip(("main", "second", "third"), zip(images, labels, strict=True),
                                                           strict=True)}
    step = method.step(engine.ctx, batches)
    total = 0.0
    for number, (seen, answers) in enumerate(zip(images, labels, strict=True)):
        features = engine.backbone(seen).chunk(3, dim=1)[number]
        group = groups[number]
        few = torch.cat([head.classifiers[number](features)[:, group], head.rejects[number](features)], dim=1).tolist()
        for row, y in zip(few, answers.tolist(), strict=True):
            place, more = (group.index(y), 0.0) if y in group else (len(group), math.log(10 - len(group)))
            total += (softmax_loss(row, place) + more) / 4
    assert float(step.loss.detach()) == pytest.approx(total, rel=1e-4)


def test_what_each_expert_may_change(tmp_path: Path, digits_batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    engine = built(tmp_path)
    before = engine.ctx.previous
    assert before is not None
    images, labels = digits_batch[0][:9].split(3), digits_batch[1][:9].split(3)
    engine.eval()
    # All begin as what was trained.
    torch.testing.assert_close(engine.backbone(images[0]), before.backbone(images[0]).repeat(1, 3))
    engine.train()
    engine.method("cb_experts").start_epoch(engine.ctx)
    kept = {name: value.clone() for name, value in engine.backbone.state_dict().items() if name.startswith(("trunk", "kept"))}
    batches = {name: batch_of(*pair) for name, pair in zip(("main", "second", "third"), zip(images, labels, strict=True),
                                                           strict=True)}
    engine.method("cb_experts").step(engine.ctx, batches).loss.backward()
    learned = {name.split(".")[0] for name, p in engine.backbone.named_parameters() if p.grad is not None}
    assert learned == {"whole", "last"} and all(p.grad is not None for p in engine.head.parameters())
    now = engine.backbone.state_dict()
    assert kept and all(torch.equal(now[name], value) for name, value in kept.items())  # batch statistics as well


def test_calibration_begins_as_what_it_calibrates_and_joins_by_hand(tmp_path: Path) -> None:
    engine = built(tmp_path, "ce/cb_experts/cb_calibration")
    before = engine.ctx.previous
    assert before is not None
    embedding = torch.randn(4, engine.backbone.feature_dim)
    torch.testing.assert_close(engine.head(embedding).logits, before.head(embedding).logits)
    assert {name for name, p in engine.head.named_parameters() if p.requires_grad} == {
        "scale", "shift", "reject_scale", "reject_shift"}
    # One expert of one class; class and reject logits are 0. Doubled and raised by log 3, the class's becomes log 3.
    own = torch.eye(2, dtype=torch.bool)
    rejecting = RejectHead([torch.nn.Linear(1, 2) for _ in range(2)], 1, own, 1.0)
    for parameter in rejecting.parameters():
        torch.nn.init.zeros_(parameter)
    head = CalibratedExperts(rejecting)
    torch.nn.init.constant_(head.scale, 2.0)
    head.shift.data[0] = math.log(3)
    # The first expert says 3/4, the second 1/2: 3/5 and 2/5.
    torch.testing.assert_close(head(torch.zeros(1, 2)).logits.exp(), torch.tensor([[0.6, 0.4]]))


@pytest.mark.parametrize(("text", "message"), [
    ("ce/cb_calibration", "'cb_calibration' must stand on a stage that leaves 'RejectHead' (as 'ce/cb_experts' does), got 'ce'"),
    ("ce/cb_experts+rs", "'cb_experts' and 'rs' cannot stand in one stack: both own 'streams'"),
    ("ce/cb_experts+crt", "'cb_experts' and 'crt' cannot stand in one stack")])
def test_what_cannot_stand_together(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ltbench.UserError) as error:
        Scene(installed()).build(text, tmp_path)
    assert message in str(error.value)


def test_settings_of_the_public_code() -> None:
    """ssfootball04/class-balanced-experts: main.py sets the rate .1 and the batch 256 whatever its options say."""
    setting = ClassBalancedExperts.paper(Task("imagenet-lt", None))
    assert setting is not None and setting.stage1 == "ce"
    below = setting.stage1_protocol
    assert (below["epochs"], below["batch_size"], below["lr"]) == (100, 256, 0.1)
    assert (setting.protocol["stage2_batch_size"], setting.protocol["stage2_lr"]) == (256, 0.1)
    assert ClassBalancedExperts(facts(COUNTS)).ratio == 16.0
    assert ClassBalancedExperts.paper(Task("cifar100-lt", 100.0)) is None
    assert JointCalibration.paper(Task("imagenet-lt", None)) is None


def test_refuses_bad_values() -> None:
    with pytest.raises(ValueError, match="ratio must be > 0, got 0"):
        ClassBalancedExperts(facts(COUNTS), ratio=0.0)
