from __future__ import annotations

import pytest
import torch

from ltbench.registry.specs import load_target
from ltbench_analysis import plugin
from ltbench_analysis.metrics import collapse, norms, smallest_angles
from tests.support.made_runs import layer


def inner(**given: torch.Tensor) -> dict[str, torch.Tensor]:
    return {name.removeprefix("stage1."): value for name, value in layer(1, **given).items()}


def test_specs_lead_to_functions_with_summaries() -> None:
    specs = list(plugin.ltbench_metrics())
    assert [spec.name for spec in specs] == ["norms", "smallest_angles", "collapse"]
    assert [load_target(spec.target) for spec in specs] == [norms, smallest_angles, collapse]


def test_norms_by_hand() -> None:
    scale = torch.tensor([[1.0], [3.0], [1.0], [3.0]])
    assert norms(inner(weight=scale * torch.eye(4), means=torch.eye(4))) == {"centroids": 0, "classifier": 0.5}
    assert norms(inner(prototypes=scale * torch.eye(4))) == {"centroids": 0, "prototypes": 0.5}
    assert norms(inner()) == {"centroids": 0}


def test_smallest_angles_by_hand() -> None:
    found = smallest_angles(inner(weight=torch.eye(4)))
    assert found == {"class_means": pytest.approx(109.4712, abs=1e-3), "classifier": pytest.approx(90)}  # arccos(-1/3)
    # Points are centered as means are; directions stay what they are.
    assert smallest_angles(inner(prototypes=torch.eye(4)))["prototypes"] == pytest.approx(109.4712, abs=1e-3)
    directions = smallest_angles(inner(prototypes=torch.eye(4), assignment=torch.arange(4)))
    assert directions["prototypes"] == pytest.approx(90)


def test_cdnv_by_hand_before_and_after() -> None:
    found = collapse(inner(variance=torch.full((4,), 2.0), prototypes=2 * torch.eye(4)))
    # Every pair: (2 + 2) / (2 * 2) = 1 about the means; with prototypes twice as far, 1 / 4. Scatter 2 over 3/4.
    assert found["cdnv"] == pytest.approx(1) and found["cdnv_prototypes"] == pytest.approx(0.25)
    assert found["nc1"] == pytest.approx(2 / 0.75)
    assert "cdnv_prototypes" not in collapse(inner(prototypes=torch.eye(4), assignment=torch.arange(4)))


def test_what_is_not_finite_is_left_out() -> None:
    found = collapse(inner(means=torch.ones(4, 3)))
    assert "cdnv" not in found and "nc1" not in found
    assert norms(inner(means=torch.zeros(4, 3))) == {}


def test_one_class_says_nothing() -> None:
    one = {"class_counts": torch.tensor([3, 0]), "class_means": torch.ones(2, 2), "class_variance": torch.ones(2)}
    assert collapse(one) == {} and smallest_angles(one) == {}
