from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ltbench_analysis import geometry
from ltbench_analysis.geometry import (
    angles,
    centered,
    coefficient_of_variation,
    lengths,
    pair_cosines,
    separation,
    smallest_angle,
)

TRIANGLE = torch.tensor([[1.0, 0.0], [-0.5, math.sqrt(3) / 2], [-0.5, -math.sqrt(3) / 2]])


def test_coefficient_of_variation_by_hand() -> None:
    assert coefficient_of_variation(torch.tensor([1.0, 3.0])) == 0.5  # mean 2, deviation 1
    assert coefficient_of_variation(torch.tensor([2.0, 2.0])) == 0
    assert math.isnan(coefficient_of_variation(torch.zeros(3)))


def test_lengths_and_centering_by_hand() -> None:
    points = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert lengths(points).tolist() == [5, 0]
    assert centered(points).tolist() == [[1.5, 2], [-1.5, -2]]


def test_a_simplex_has_one_angle() -> None:
    pairs = pair_cosines(TRIANGLE)
    assert pairs.smallest_angle == pytest.approx(120) and pairs.mean_angle == pytest.approx(120)
    assert (pairs.largest, pairs.smallest) == (pytest.approx(-0.5), pytest.approx(-0.5))
    assert pairs.deviation == pytest.approx(0, abs=1e-7) and pairs.from_simplex == pytest.approx(0, abs=1e-7)
    assert angles(TRIANGLE).tolist() == [pytest.approx(row, abs=1e-4) for row in ([0, 120, 120], [120, 0, 120], [120, 120, 0])]


def slow_cosines(vectors: Tensor) -> list[float]:
    found = []
    for i in range(len(vectors)):
        for j in range(len(vectors)):
            if i != j:
                a, b = vectors[i].double(), vectors[j].double()
                found.append(float((a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt())))
    return found


def test_pairs_in_blocks_against_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = torch.randn(11, 5, generator=torch.Generator().manual_seed(1))
    cosines = slow_cosines(vectors)
    mean = sum(cosines) / 110
    monkeypatch.setattr(geometry, "_BLOCK", 5)  # blocks of 5, 5 and 1
    pairs = pair_cosines(vectors)
    assert pairs.largest == pytest.approx(max(cosines)) and pairs.smallest == pytest.approx(min(cosines))
    assert smallest_angle(vectors) == pairs.smallest_angle == pytest.approx(math.degrees(math.acos(max(cosines))))
    assert pairs.mean == pytest.approx(mean)
    assert pairs.deviation == pytest.approx(math.sqrt(sum((c - mean) ** 2 for c in cosines) / 110))
    assert pairs.mean_angle == pytest.approx(sum(math.degrees(math.acos(c)) for c in cosines) / 110)
    assert pairs.from_simplex == pytest.approx(sum(abs(c + 0.1) for c in cosines) / 110)
    assert sorted(angles(vectors)[~torch.eye(11, dtype=torch.bool)].tolist()) == pytest.approx(
        sorted(math.degrees(math.acos(c)) for c in cosines))


def test_in_64_dimensions_100_vectors_come_no_further_apart_than_a_right_angle() -> None:
    vectors = torch.randn(100, 64, generator=torch.Generator().manual_seed(0))
    assert pair_cosines(centered(vectors)).smallest_angle <= 90


def test_separation_against_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = torch.randn(9, 3, generator=torch.Generator().manual_seed(2)).double()
    left, right = torch.tensor([0, 1, 2, 3, 4]), torch.tensor([3, 4, 8])
    monkeypatch.setattr(geometry, "_BLOCK", 2)
    pairs = [(i, j) for i in left.tolist() for j in right.tolist() if i != j]
    found = separation(vectors, left, right)
    assert found.euclidean == pytest.approx(sum(float((vectors[i] - vectors[j]).norm()) for i, j in pairs) / len(pairs))
    cosine = torch.nn.functional.cosine_similarity
    assert found.cosine == pytest.approx(sum(float(cosine(vectors[i], vectors[j], dim=0)) for i, j in pairs) / len(pairs))


def test_one_class_has_no_pairs() -> None:
    with pytest.raises(ValueError, match="vectors must be at least 2, got 1"):
        pair_cosines(torch.ones(1, 2))
    with pytest.raises(ValueError, match="two different classes"):
        separation(torch.ones(3, 2), torch.tensor([1]), torch.tensor([1]))


@pytest.mark.slow
def test_the_size_of_inaturalist() -> None:
    vectors = torch.randn(8142, 256, generator=torch.Generator().manual_seed(0))
    assert 0 < pair_cosines(vectors).largest < 1
