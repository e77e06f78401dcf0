from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import ltbench
from ltbench.method.stack import Stack
from ltbench.terms.task import Task
from ltbench.testing.scene import Scene, installed, scratch
from ltbench_experts.shike_rebalance import ExpertRebalancing
from tests.support.stages import facts

COUNTS = [40, 30, 22, 16, 12, 9, 6, 4, 3, 2]


def test_loss_by_hand() -> None:
    # Equal logits: the loss of a class is minus the log of its share of the images.
    method = ExpertRebalancing(facts([90, 10]))
    torch.testing.assert_close(method.criterion(torch.zeros(2, 2), torch.tensor([0, 1])),
                               torch.tensor([-math.log(0.9), -math.log(0.1)]))


def test_step_by_a_slow_loss(tmp_path: Path) -> None:
    engine, _, _ = Scene(installed()).build("shike/shike_rebalance", tmp_path)
    assert engine.ctx.previous is not None
    features, labels = torch.randn(8, 3 * 64), torch.arange(8)
    batch = ltbench.Batch(None, labels, [(labels, 1.0)], torch.arange(8), labels, embedding=features)
    step = engine.method("shike_rebalance").step(engine.ctx, {"main": batch})
    counts, expected = engine.ctx.facts.class_counts.tolist(), 0.0
    for part, classifier in zip(features.chunk(3, dim=1), engine.head.classifiers, strict=True):  # type: ignore[call-overload]
        for row, y in zip(part, labels.tolist(), strict=True):
            cosines = [float(row @ w / row.norm() / w.norm()) for w in classifier.weight.detach()]
            terms = [n * math.exp(30 * c) for n, c in zip(counts, cosines, strict=True)]
            expected -= math.log(terms[y] / sum(terms)) / 8
    assert float(step.loss.detach()) == pytest.approx(expected, rel=1e-4)


def test_experts_stay_and_their_batch_norm_drifts_where_it_is_asked_to() -> None:
    place = Scene(installed())
    with scratch() as folder:
        for options, same in (("inputs=images", True), ("batch_norm_drift=true", False)):
            text = f"shike/shike_rebalance({options})"
            _, before = place.last(text)
            assert before is not None
            old, new = before.engine.backbone, place.train(text, folder).engine.backbone
            assert all(torch.equal(a, b) for a, b in zip(old.parameters(), new.parameters(), strict=True))
            kept = [torch.equal(a, b) for (name, a), (_, b) in zip(old.named_buffers(), new.named_buffers(), strict=True)
                    if name.endswith("running_mean")]
            assert all(kept) if same else not any(kept)


def test_what_it_trains_on() -> None:
    known = facts(COUNTS, 6)
    kinds = [ExpertRebalancing(known), ExpertRebalancing(known, inputs="images"), ExpertRebalancing(known, batch_norm_drift=True)]
    assert [(Stack([m], 2).inputs, Stack([m], 2).backbone) for m in kinds] == [
        ("features", "frozen"), ("images", "frozen"), ("images", "drifting")]


def test_what_it_can_stand_on(tmp_path: Path) -> None:
    place = Scene(installed())
    with pytest.raises(ltbench.UserError, match="'shike_rebalance' must stand on a stage that leaves 'ExpertHead'"):
        place.build("ce/shike_rebalance", tmp_path)
    with pytest.raises(ltbench.UserError, match="experts of 'shike_rebalance' must be 2, as in the stage before, got 3"):
        place.build("shike(experts=2)/shike_rebalance", tmp_path)
    place.build("ride/shike_rebalance", tmp_path)


def test_setting_of_the_public_code() -> None:
    """jinyan-06/SHIKE, cifarTrain.py: epochs 180 to 200."""
    setting = ExpertRebalancing.paper(Task("cifar100-lt", 100.0))
    assert setting is not None and setting.stage1 == "shike" and setting.hyperparameters == {"inputs": "images"}
    assert (setting.protocol["stage2_draws"], setting.protocol["stage2_lr"]) == (20.0, 0.1)
    assert ExpertRebalancing.paper(Task("imagenet-lt", None)) is None
