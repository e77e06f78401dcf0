"""Time of a label-to-prototype assignment by the number of classes (figure 3c of Saadabadi et al., 2024).

``make bench`` measures; in the ordinary tests each runs once, to show that it works. Means are nearly parallel, as early in a
training: the slowest case. Beside it, scipy's solver on the plain costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ltbench_hyperspherical.assignment import assign

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

DIM = 128
SIZES = [100, 1_000, pytest.param(4_000, marks=pytest.mark.slow), pytest.param(10_000, marks=pytest.mark.slow)]


def problem(classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    prototypes = F.normalize(torch.randn(classes, DIM, generator=generator), dim=1)
    common = torch.randn(DIM, generator=generator)
    return F.normalize(common + 0.05 * torch.randn(classes, DIM, generator=generator), dim=1), prototypes


@pytest.mark.benchmark(group="an assignment, nearly parallel means")
@pytest.mark.parametrize("classes", SIZES)
def test_ours(benchmark: BenchmarkFixture, classes: int) -> None:
    means, prototypes = problem(classes)
    best = benchmark.pedantic(assign, (means, prototypes, torch.arange(classes)), rounds=3 if classes <= 1_000 else 1)
    assert best.sort().values.equal(torch.arange(classes))


@pytest.mark.benchmark(group="an assignment, nearly parallel means")
@pytest.mark.parametrize("classes", SIZES[:3])
def test_plain_costs(benchmark: BenchmarkFixture, classes: int) -> None:
    means, prototypes = problem(classes)
    costs = -(means.double() @ prototypes.double().T).numpy()
    _, best = benchmark.pedantic(linear_sum_assignment, (costs,), rounds=3 if classes <= 1_000 else 1)
    ours = assign(means, prototypes, torch.arange(classes)).numpy()
    assert costs[range(classes), ours].sum() == pytest.approx(costs[range(classes), best].sum())
