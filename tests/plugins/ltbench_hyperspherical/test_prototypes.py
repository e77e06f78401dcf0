from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ltbench_hyperspherical import prototypes
from ltbench_hyperspherical.prototypes import estimate
from ltbench_hyperspherical.spread import cosine_bound, largest_cosine, smallest_cosine, uniformity


@pytest.mark.parametrize(("dim", "count"), [
    (2, 2), (2, 3), (9, 10), (64, 10), (99, 100), (100, 100), (98, 100), (64, 100), (50, 100), (7, 9), (4, 8), (512, 1000)])
def test_the_proved_bound_is_reached_up_to_twice_the_dimension(dim: int, count: int) -> None:
    unit = estimate(dim, count)
    assert unit.shape == (count, dim)
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(count))
    assert largest_cosine(unit) == pytest.approx(cosine_bound(dim, count), abs=1e-6)
    torch.testing.assert_close(unit.mean(dim=0), torch.zeros(dim), atol=1e-6, rtol=0)


def test_twice_the_dimension_is_the_cross_polytope() -> None:
    unit = estimate(50, 100)  # table 7's second column
    cosines = unit @ unit.T
    antipodes = (cosines < -1 + 1e-5).sum(dim=1)
    assert antipodes.tolist() == [1] * 100
    assert int((cosines.abs() < 1e-5).sum()) == 100 * 98


def test_a_simplex_has_equal_angles() -> None:
    unit = estimate(12, 10)
    assert largest_cosine(unit) == pytest.approx(-1 / 9, abs=1e-6)
    assert smallest_cosine(unit) == pytest.approx(-1 / 9, abs=1e-6)


@pytest.mark.parametrize(("dim", "count"), [(5, 8), (64, 100), (98, 100)])
def test_the_construction_has_a_lower_potential_than_an_optimizer_finds(dim: int, count: int) -> None:
    built = estimate(dim, count)
    found = prototypes._by_repulsion(dim, count, torch.Generator().manual_seed(0))
    assert float(uniformity(built.double())) < float(uniformity(found.double()))


@pytest.mark.parametrize(("dim", "count", "reached"), [
    (2, 10, math.cos(math.radians(36))), (5, 16, 1 / 5), (6, 27, 1 / 4),  # optimal codes
    (3, 12, 1 / math.sqrt(5)),  # the icosahedron
    (10, 100, 0.35), (25, 100, 0.12), (16, 100, 0.213), (32, 100, 0.083), (25, 200, 0.19), (50, 200, 0.083),
])
def test_beyond_it_comes_close(dim: int, count: int, reached: float) -> None:
    largest = largest_cosine(estimate(dim, count))
    assert cosine_bound(dim, count) - 1e-6 <= largest <= reached + 2e-3


@pytest.mark.parametrize(("dim", "count"), [(50, 100), (10, 100)])
def test_the_papers_recipe_stays_farther_from_the_bound(dim: int, count: int) -> None:
    best, recipe = estimate(dim, count), estimate(dim, count, recipe="paper")
    assert largest_cosine(best) < largest_cosine(recipe) - 0.15
    assert float(uniformity(best)) < float(uniformity(recipe))


def test_the_papers_recipe_descends_eq_5() -> None:
    start = torch.nn.functional.normalize(torch.randn(6, 3, generator=torch.Generator().manual_seed(4)), dim=1)
    assert float(uniformity(estimate(3, 6, seed=4, recipe="paper"))) < float(uniformity(start))


def test_a_step_of_the_papers_recipe_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    # w - 0.1 dL/dw, brought back to the sphere (section 4.1), from the gradient of eq. 5 by a loop over pairs; t = 2.
    start = F.normalize(torch.randn(4, 3, generator=torch.Generator().manual_seed(7)), dim=1).double()
    potential = [[math.exp(-2 * float((u - v).square().sum())) for v in start] for u in start]
    total = sum(map(sum, potential))
    expected = []
    for i, own in enumerate(start):
        # A potential falls by 2 t (u - v) times itself, and each pair counts twice.
        slope = sum((2 * -4 * potential[i][j] / total * (own - other) for j, other in enumerate(start)), torch.zeros(3))
        slope = slope - (slope @ own) * own  # along the vector its direction does not change
        expected.append(F.normalize(own - 0.1 * slope, dim=0))
    monkeypatch.setattr(prototypes, "STEPS", 1)
    found = prototypes._by_descent(3, 4, torch.Generator().manual_seed(7))
    assert float((found - start.float()).norm(dim=1).min()) > 1e-3
    torch.testing.assert_close(found, torch.stack(expected).float(), atol=1e-6, rtol=0)


def test_the_papers_recipe_takes_a_thousand_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Tensor] = []

    def counted(vectors: Tensor) -> Tensor:
        taken.append(vectors)
        return uniformity(vectors)

    monkeypatch.setattr(prototypes, "uniformity", counted)
    prototypes._by_descent(2, 3, torch.Generator().manual_seed(0))
    assert len(taken) == 1000


def test_a_subset_in_every_step_spreads_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prototypes, "_SUBSET", 64)
    unit = prototypes._by_repulsion(16, 160, torch.Generator().manual_seed(0))
    assert largest_cosine(unit) < largest_cosine(estimate(16, 160)) + 0.02


def test_one_seed_gives_one_configuration() -> None:
    first = estimate(4, 20, seed=1)
    again = estimate(4, 20, seed=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, estimate(4, 20, seed=2))
    again.zero_()  # what a caller does to it is its own
    assert torch.equal(first, estimate(4, 20, seed=1))


@pytest.mark.parametrize(("dim", "count"), [(1, 5), (5, 1)])
def test_no_sphere_or_nothing_to_spread(dim: int, count: int) -> None:
    with pytest.raises(ValueError, match="must be >= 2"):
        estimate(dim, count)
