from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from ltbench_analysis.geometry import mean_cosines, pair_cosines
from ltbench_hyperspherical import spread
from ltbench_hyperspherical.prototypes import estimate


def test_by_hand() -> None:
    square = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.0, -3.0]])  # lengths do not count
    assert spread.largest_cosine(square) == pytest.approx(0)
    assert spread.smallest_cosine(square) == pytest.approx(-1)
    assert math.radians(pair_cosines(square).mean_angle) == pytest.approx(2 * math.pi / 3)  # two right angles and a straight one
    torch.testing.assert_close(mean_cosines(square), torch.full((4,), -1 / 3, dtype=torch.float64))
    # eq. 5 with t = 2: each meets itself (potential 1), two at squared distance 2 and one at 4
    expected = math.log(1 + 2 * math.exp(-4) + math.exp(-8))
    assert float(spread.uniformity(square)) == pytest.approx(expected, rel=1e-5)


def test_figures_equal_a_loop_over_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "_BLOCK", 3)
    vectors = torch.randn(8, 3)
    unit = F.normalize(vectors.double(), dim=1)
    cosines = [float(unit[i] @ unit[j]) for i, j in itertools.combinations(range(8), 2)]
    assert spread.largest_cosine(vectors) == pytest.approx(max(cosines))
    assert spread.smallest_cosine(vectors) == pytest.approx(min(cosines))
    assert math.radians(pair_cosines(vectors).mean_angle) == pytest.approx(sum(map(math.acos, cosines)) / len(cosines))
    assert float(mean_cosines(vectors).mean()) == pytest.approx(sum(cosines) / len(cosines))


@pytest.mark.parametrize("rows", [None, [4, 1, 2]])
def test_uniformity_equals_a_loop(rows: list[int] | None) -> None:
    vectors = torch.randn(6, 3, dtype=torch.float64)
    unit = [vector / vector.norm() for vector in vectors]
    left = rows or list(range(6))
    potentials = [math.exp(-1.5 * float((unit[i] - unit[j]).square().sum())) for i in left for j in range(6)]
    subset = None if rows is None else torch.tensor(rows)
    assert float(spread.uniformity(vectors, 1.5, subset)) == pytest.approx(math.log(sum(potentials) / len(left)))


@pytest.mark.parametrize(("dim", "count", "bound"), [
    (4, 2, -1.0), (4, 3, -1 / 2), (99, 100, -1 / 99), (100, 100, -1 / 99), (50, 100, 0.0), (98, 100, 0.0),
    (2, 10, math.cos(math.radians(36))),
    (5, 16, 1 / 5), (6, 27, 1 / 4),  # the known codes that meet Levenshtein's bound
])
def test_bounds_are_the_known_ones(dim: int, count: int, bound: float) -> None:
    assert spread.cosine_bound(dim, count) == pytest.approx(bound, abs=1e-12)


def test_bounds_hold_for_any_vectors_and_grow_with_their_number() -> None:
    for dim, count in itertools.product((2, 3, 7, 20), (2, 5, 21, 40, 90)):
        assert spread.largest_cosine(torch.randn(count, dim)) >= spread.cosine_bound(dim, count)
        assert spread.cosine_bound(dim, count + 1) >= spread.cosine_bound(dim, count)
        assert spread.cosine_bound(dim + 1, count) <= spread.cosine_bound(dim, count)


@pytest.mark.parametrize(("dim", "count"), [(1, 5), (5, 1)])
def test_no_bound_without_a_sphere_or_a_pair(dim: int, count: int) -> None:
    with pytest.raises(ValueError, match="must be >= 2"):
        spread.cosine_bound(dim, count)


def test_average_angles_do_not_tell_random_from_even() -> None:
    even, random = estimate(50, 100), torch.randn(100, 50)  # figure 2
    assert math.radians(pair_cosines(random).mean_angle) == pytest.approx(math.radians(pair_cosines(even).mean_angle), rel=0.02)
    assert spread.largest_cosine(random) > spread.largest_cosine(even) + 0.3
