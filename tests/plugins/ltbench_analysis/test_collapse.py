from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ltbench_analysis import collapse
from ltbench_analysis.collapse import (
    center_disagreement,
    duality,
    linear_decision,
    scatter_ratio,
    scatter_trace,
    simplex_distance,
    statistics_figures,
)
from ltbench_analysis.geometry import centered
from ltbench_analysis.layer import Layer, read_layer


def made(means: Tensor, **head: Tensor) -> Layer:
    return read_layer({"class_counts": torch.ones(len(means), dtype=torch.int64), "class_means": means,
                       "class_variance": torch.zeros(len(means)), **{f"head.classifier.{k}": v for k, v in head.items()}})


def test_full_collapse_is_zero_throughout() -> None:
    means = torch.eye(4) + 7  # a simplex, about another center than the origin
    figures = statistics_figures(made(means, weight=3 * torch.eye(4), bias=torch.zeros(4)))
    assert set(figures) == {"nc1", "nc2_norms", "nc2_angles", "nc2_simplex", "nc2_classifier_norms", "nc2_classifier_angles",
                            "nc2_classifier_simplex", "nc3", "nc4_means"}
    assert all(value == pytest.approx(0, abs=1e-7) for value in figures.values())
    labels = torch.tensor([0, 0, 1, 2, 3, 3, 3])
    assert scatter_trace(means[labels], labels) == pytest.approx(0, abs=1e-12)


def test_scatter_by_hand_and_classes_count_alike() -> None:
    # Means -1 and 1, so the center is 0 and the scatter between 1; variances 0.5 and 0.1 average to 0.3.
    assert scatter_ratio(torch.tensor([[-1.0], [1.0]]), torch.tensor([0.5, 0.1])) == pytest.approx(0.3)
    # A class of three with variance 2/3 and one of two with variance 1/4; in one dimension the trace is (S_W / S_B) / C.
    features = torch.tensor([[-2.0], [-1.0], [0.0], [0.5], [1.5]])
    labels = torch.tensor([0, 0, 0, 4, 4])
    assert scatter_trace(features, labels) == pytest.approx((2 / 3 + 1 / 4) / 2 / 1 / 2)
    assert scatter_ratio(torch.ones(3, 2), torch.ones(3)) == math.inf
    assert scatter_trace(torch.ones(4, 2), torch.tensor([0, 0, 1, 1])) == math.inf


def test_scatter_against_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(60, 7, generator=generator).double() + 100
    labels = torch.cat([torch.arange(5), torch.randint(0, 5, (55,), generator=generator)])
    within, between = torch.zeros(7, 7).double(), torch.zeros(7, 7).double()
    means = torch.stack([features[labels == k].mean(dim=0) for k in range(5)])
    for k in range(5):
        away = features[labels == k] - means[k]
        within += away.T @ away / len(away) / 5
        between += torch.outer(means[k] - means.mean(dim=0), means[k] - means.mean(dim=0)) / 5
    expected = float(torch.trace(within @ torch.linalg.pinv(between, rtol=1e-10))) / 5
    monkeypatch.setattr(collapse, "_CHUNK", 13)
    assert scatter_trace(features, labels) == pytest.approx(expected, rel=1e-8)


def test_distance_from_a_simplex_by_hand() -> None:
    # Lengths 1 and 3; the one cosine is -1, which is a simplex of two.
    assert simplex_distance(torch.tensor([[1.0, 0.0], [-3.0, 0.0]])) == {"norms": 0.5, "angles": 0, "simplex": 0}
    # Cosines 0, -1, 0 over pairs, against -1/2: mean |0.5|, deviation sqrt(2)/3.
    found = simplex_distance(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
    assert found == {"norms": 0, "angles": pytest.approx(math.sqrt(2) / 3), "simplex": pytest.approx(0.5)}


def test_duality_is_blind_to_scale_and_to_what_moves_all() -> None:
    means = torch.randn(6, 9, generator=torch.Generator().manual_seed(0))
    assert duality(means, 5 * means + 2) == pytest.approx(0, abs=1e-6)
    assert duality(means, -means) == pytest.approx(2)
    across = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert duality(across, across.flip(1)) == pytest.approx(math.sqrt(2))


def test_disagreement_with_the_nearest_center_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    means = torch.tensor([[0.0], [10.0]])
    monkeypatch.setattr(collapse, "_CHUNK", 2)
    assert center_disagreement(torch.tensor([[1.0], [9.0], [4.0]]), means, torch.tensor([0, 1, 1])) == pytest.approx(1 / 3)


def test_a_linear_decision_needs_a_bias_that_says_it_is_linear() -> None:
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    weight = torch.tensor([[1.0, 0.0], [0.0, 5.0]])
    known = linear_decision(features, made(features, weight=weight, bias=torch.tensor([9.0, 0.0])))
    assert known is not None and known.tolist() == [0, 0]  # 10 > 0; 9 > 5
    assert linear_decision(features, made(features, weight=weight)) is None
    assert linear_decision(features, made(features, weight=torch.ones(2, 3), bias=torch.zeros(2))) is None


def test_a_head_on_other_features_has_no_duality() -> None:
    figures = statistics_figures(made(centered(torch.eye(3)), weight=torch.randn(3, 8), bias=torch.zeros(3)))
    assert "nc3" not in figures and "nc4_means" not in figures and "nc2_classifier_norms" in figures
