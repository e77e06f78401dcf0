"""The regularizers join real stages on digits: any loss, experts, mixed images, deferred weights, a later stage."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ltbench.planning.plan import plan_run
from ltbench.terms.task import Task
from ltbench.testing import scene
from ltbench.testing.scene import Scene, installed


@pytest.mark.parametrize("text", [
    "nc", "nc+mse", "nc+ldam+drw", "nc+la", "nc+mixup+drw", "nc+manifold_mixup", "nc+ride+ldam+drw+mixup", "nc+ride",
    "center_loss+ride+mixup", "center_loss+nc+drw", "nc+drw+mixup/crt", "nc(means=running,experts=each)+ride",
    "center_loss+nc(means=running,within_weight=0)+drw+mixup"])
def test_it_joins(text: str, tmp_path: Path) -> None:
    place, dataset = Scene(installed()), scene.task_data().dataset
    task = Task(dataset.name, scene.USUAL_RATIO, protocol=scene.PROTOCOL.name)
    settings = {"nc": {"start": 0.0}} if "nc" in text.split("/")[0].split("+") else {}
    plan = plan_run(text, task, scene.PROTOCOL, installed(), dataset, settings=settings)
    first = place.runner(tmp_path).obtain(plan.stages[0], scene.SEED, place.data, None)
    for row in first.curve:
        assert all(math.isfinite(value) for value in row.values())
    if settings:
        assert 0 <= first.curve[-1]["smallest_angle"] <= first.curve[-1]["mean_angle"] <= 180
        assert first.curve[-1].get("nc_within", 0) >= 0 > first.curve[-1]["nc_between"] >= -math.pi * 3
    if "center_loss" in text:
        assert first.curve[-1]["center"] > 0
    if "/" in text:
        second = place.runner(tmp_path).obtain(plan.stages[1], scene.SEED, place.data, first)
        assert place.logits(second.engine).isfinite().all()


@pytest.mark.parametrize("text", ["nc(means=learned)", "nc(means=learned,experts=each)+ride+mixup",
                                  "nc(means=learned,class_sizes=batch)"])
def test_learned_means_follow_the_features(text: str, tmp_path: Path) -> None:
    place, dataset = Scene(installed()), scene.task_data().dataset
    task = Task(dataset.name, scene.USUAL_RATIO, protocol=scene.PROTOCOL.name)
    plan = plan_run(text, task, scene.PROTOCOL, installed(), dataset, settings={"nc": {"start": 0.0}})
    before = place.runner(tmp_path).build(plan.stages[0], scene.SEED, place.data, None).method("nc").class_means
    stage = place.runner(tmp_path).obtain(plan.stages[0], scene.SEED, place.data, None)
    after = stage.engine.method("nc").class_means
    assert before.shape == after.shape == (10, int(stage.engine.backbone.feature_dim))  # type: ignore[arg-type]
    assert not before.equal(after)  # type: ignore[operator, arg-type]
