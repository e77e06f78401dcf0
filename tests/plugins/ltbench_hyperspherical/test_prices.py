from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ltbench_hyperspherical import assignment
from ltbench_hyperspherical.assignment import assign
from ltbench_hyperspherical.prices import prices

FINAL = 3e-4  # the last increment, in standard deviations of the costs


def unit(count: int, dim: int) -> Tensor:
    return F.normalize(torch.randn(count, dim), dim=1)


def cheapest(costs: Tensor) -> float:
    rows, columns = linear_sum_assignment(costs.numpy())
    return float(costs[rows, columns].sum())


def test_by_hand() -> None:
    # Both labels want the first prototype; label 0 gives it up for 3, label 1 for 1. So it must cost 1 to 3 more than the other.
    costs = torch.tensor([[0.0, 3.0], [0.0, 1.0]], dtype=torch.float64)
    found = prices(costs)
    assert found.dtype == torch.float64
    assert 1 - 2 * FINAL < float(found[0] - found[1]) < 3 + 2 * FINAL


@pytest.mark.parametrize("classes", [5, 63, 64, 65, 90])
def test_the_dual_is_within_an_increment_a_label(classes: int) -> None:
    """Bertsekas' bound, where all labels are placed, as they are up to 99 classes."""
    for costs in (torch.rand(classes, classes, dtype=torch.float64), (unit(classes, 4) @ (unit(classes, 4) + 2).T).double()):
        found = prices(costs)
        dual = float((costs + found).amin(dim=1).sum() - found.sum())
        best = cheapest(costs)
        assert best - classes * FINAL * float(costs.std()) * 1.01 <= dual <= best + 1e-9


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_a_scale_and_a_constant_change_nothing_else(scale: float) -> None:
    costs = torch.rand(70, 70, dtype=torch.float64)
    moved = prices(costs * scale + 3 * scale)
    assert float((costs + moved / scale).amin(dim=1).sum() - (moved / scale).sum()) == pytest.approx(cheapest(costs), rel=1e-2)


def test_costs_without_a_difference() -> None:
    for size in (1, 2, 7):
        assert torch.equal(prices(torch.full((size, size), 0.1, dtype=torch.float64)), torch.zeros(size, dtype=torch.float64))
    # Labels with equal costs outbid each other for every prototype in turn: the number of bids ends it.
    assert prices(torch.rand(300).double().expand(300, 300).contiguous()).isfinite().all()


def structured(kind: str, classes: int) -> tuple[Tensor, Tensor]:
    """Means and prototypes, shape (C, d) both."""
    prototypes = unit(classes, 8)
    means = {"random": unit(classes, 8),
             "parallel": F.normalize(torch.randn(8) + 0.05 * torch.randn(classes, 8), dim=1),
             "near": 0.8 * prototypes[torch.randperm(classes)] + 0.1 * unit(classes, 8),
             "unseen": unit(classes, 8) * (torch.arange(classes) % 3 > 0)[:, None],
             "alike": unit(classes, 8)[torch.arange(classes) // 2]}[kind]
    return means, prototypes


@pytest.mark.parametrize("kind", ["random", "parallel", "near", "unseen", "alike"])
@pytest.mark.parametrize("classes", [1, 2, 3, 40, 130])
def test_the_assignment_stays_exact(kind: str, classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    means, prototypes = structured(kind, classes)
    costs = -(means.double() @ prototypes.double().T)
    plain = assign(means, prototypes, torch.arange(classes))
    monkeypatch.setattr(assignment, "_MANY", 0)
    best = assign(means, prototypes, torch.arange(classes))
    assert best.sort().values.equal(torch.arange(classes))
    assert float(costs[torch.arange(classes), best].sum()) == pytest.approx(cheapest(costs), abs=1e-12)
    if kind in ("random", "parallel", "near"):  # one bijection is best
        assert torch.equal(best, plain)


def test_no_bijection_of_equal_ones_replaces_the_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "_MANY", 0)
    means, prototypes = structured("alike", 6)
    costs = -(means.double() @ prototypes.double().T)
    totals = {order: float(costs[torch.arange(6), list(order)].sum()) for order in itertools.permutations(range(6))}
    for order in (order for order, total in totals.items() if total < min(totals.values()) + 1e-12):
        assert assign(means, prototypes, torch.tensor(order)).tolist() == list(order)


def test_the_number_of_threads_changes_nothing() -> None:
    means, prototypes = structured("parallel", 1100)
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(assign(means, prototypes, torch.arange(1100)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)
    costs = -((means.double() - means.double().mean(dim=0)) @ prototypes.double().T)  # with them scipy is quick
    assert float(costs[torch.arange(1100), found[0]].sum()) == pytest.approx(cheapest(costs), abs=1e-9)
