from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ltbench.method.stack import Stack
from ltbench.training.engine import Engine
from ltbench_baselines.cb import effective_number_weights
from ltbench_baselines.maxnorm import MaxNorm, project_rows
from tests.support.stages import facts, later_stage, previous_stage, random_bank, train

NORMS = torch.tensor([5.0, 2.0, 1.0])


def stage(method: MaxNorm) -> tuple[Engine, nn.Linear]:
    before = nn.Linear(4, 3)
    before.weight.data = F.normalize(torch.randn(3, 4), dim=1) * NORMS[:, None]
    engine = later_stage(method, random_bank(3, 4), previous_stage(before, 4, 3))
    classifier = engine.head.classifier
    assert isinstance(classifier, nn.Linear)
    return engine, classifier


def test_projection_by_hand() -> None:
    projected = project_rows(torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]]), torch.tensor(1.0))
    torch.testing.assert_close(projected, torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))


def test_projection_is_the_nearest_point_of_the_ball() -> None:
    weight, radius = 3 * torch.randn(10, 4), torch.tensor(1.5)
    projected = project_rows(weight, radius)
    inside = project_rows(torch.randn(500, 4) * 2, radius)
    others = (weight[:, None] - inside[None]).norm(dim=2).min(dim=1).values
    assert ((weight - projected).norm(dim=1) <= others + 1e-6).all()
    torch.testing.assert_close(project_rows(projected, radius), projected)


def test_radius_by_hand() -> None:
    # 1 + .1 (5 - 1)
    engine, classifier = stage(MaxNorm(facts([8, 8, 8], 4)))
    method = engine.stack.methods[0]
    assert isinstance(method, MaxNorm)
    assert method.radius.item() == pytest.approx(1.4)
    bias, directions = classifier.bias.detach().clone(), F.normalize(classifier.weight.detach(), dim=1)
    engine.after_step(None)  # type: ignore[arg-type]
    torch.testing.assert_close(classifier.weight.detach().norm(dim=1), torch.tensor([1.4, 1.4, 1.0]))
    torch.testing.assert_close(F.normalize(classifier.weight.detach(), dim=1), directions)
    assert torch.equal(classifier.bias, bias)


def test_vectors_stay_in_the_ball_while_they_learn() -> None:
    engine, classifier = stage(MaxNorm(facts([8, 8, 8], 4), radius_fraction=0.5))
    before = classifier.weight.detach().clone()
    train(engine, random_bank(3, 4), 20)
    assert (classifier.weight.norm(dim=1) <= 3.0 + 1e-5).all()
    assert not torch.equal(classifier.weight, before)


def test_class_weights_are_the_class_balanced_ones() -> None:
    counts = [100, 10, 1]
    weights = MaxNorm(facts(counts, 4), beta=0.99).weights
    torch.testing.assert_close(weights, effective_number_weights(torch.tensor(counts), 0.99))


def test_options_and_bad_values() -> None:
    assert Stack([MaxNorm(facts([8, 8], 4), inputs="images")], 2).inputs == "images"
    assert Stack([MaxNorm(facts([8, 8], 4))], 2).inputs == "features"
    with pytest.raises(ValueError, match=r"radius_fraction must be in \[0, 1\], got 2"):
        MaxNorm(facts([8, 8], 4), radius_fraction=2)
    with pytest.raises(ValueError, match=r"beta must be in \[0, 1\), got 1"):
        MaxNorm(facts([8, 8], 4), beta=1)
