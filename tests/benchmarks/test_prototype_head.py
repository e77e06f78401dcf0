"""Forward and backward pass of a distance head at iNaturalist's size, against the usual ways to write it.

``make bench`` measures, at 8,142 classes of 2,048 features in batches of 256; in the ordinary tests each runs once, smaller. The
differences of all pairs would take 15.9 GiB: they are made for a few features, and their time multiplied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ltbench.method.distances import cosine_distance, euclidean_distance, pairwise_squared_distance
from ltbench_ncm.multi_distance import nearest_displaced_distance

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

Distance = Callable[[Tensor, Tensor], Tensor]
BATCH, DISPLACEMENTS = 256, 20
FEW = 4  # features of which all pairs are made


def all_pairs(x: Tensor, c: Tensor) -> Tensor:
    return (x[:, None] - c).square().sum(dim=2).sqrt()  # (B, C, D) on the way


def squared_cdist(x: Tensor, c: Tensor) -> Tensor:
    return torch.cdist(x, c).square()


def one_minus_cosine(x: Tensor, c: Tensor) -> Tensor:
    return 1 - F.normalize(x, dim=1) @ F.normalize(c, dim=1).T


def measure(benchmark: BenchmarkFixture, distance: Distance, rows: int, expected: Distance, learned: int | None = None,
            width: int = 2048) -> None:
    """Time a step and compare its gradient; only the first ``learned`` rows are learned, none for all."""
    torch.manual_seed(0)
    classes, features = (8142, width) if benchmark.enabled else (50, 16)
    x, labels = torch.randn(rows, features), torch.randint(classes, (rows,))
    fixed, free = torch.randn(classes, features), torch.randn(learned or classes, features, requires_grad=True)

    def step(way: Distance) -> Tensor:
        free.grad = None
        logits = -0.5 * (way(x, free) if learned is None else nearest(way, x, fixed, free))
        F.cross_entropy(logits, labels).backward()
        assert free.grad is not None
        return free.grad

    found = benchmark.pedantic(step, (distance,), rounds=5, warmup_rounds=1)
    torch.testing.assert_close(found, step(expected), atol=1e-5, rtol=2e-3)


def nearest(way: Distance, x: Tensor, c: Tensor, displacements: Tensor) -> Tensor:
    """Measure the nearest of a class's centroids: in ours, or as one product with all of them."""
    if way is euclidean_distance:
        return nearest_displaced_distance(x, c, displacements)
    shifted = torch.cat([c[None], c + displacements[:, None]])  # (K + 1, C, D)
    return way(x, shifted.flatten(0, 1)).view(len(x), len(shifted), -1).amin(dim=1)


@pytest.mark.parametrize(("ours", "usual"), [(euclidean_distance, torch.cdist), (pairwise_squared_distance, squared_cdist),
                                             (cosine_distance, one_minus_cosine)], ids=["euclidean", "squared", "cosine"])
@pytest.mark.parametrize("way", ["ours", "usual"])
def test_step(benchmark: BenchmarkFixture, ours: Distance, usual: Distance, way: str) -> None:
    benchmark.group = f"distance head, {ours.__name__}, 8,142 x 2,048, batches of 256"
    if way == "usual":
        benchmark.extra_info["reference"] = True
    elif ours is euclidean_distance:
        benchmark.extra_info["goal"] = 1.7
    measure(benchmark, ours if way == "ours" else usual, BATCH if benchmark.enabled else 8, usual)


@pytest.mark.benchmark(group="distance head against differences of all pairs")
@pytest.mark.parametrize("way", [euclidean_distance, all_pairs], ids=["ours", "all_pairs"])
def test_against_all_pairs(benchmark: BenchmarkFixture, way: Distance) -> None:
    if way is all_pairs:
        benchmark.extra_info.update(reference=True, scale=BATCH / FEW)
    else:
        benchmark.extra_info["goal"] = 100
    measure(benchmark, way, FEW if way is all_pairs else BATCH if benchmark.enabled else 8, torch.cdist)


@pytest.mark.benchmark(group="nearest of 21 centroids a class, 8,142 x 256, batches of 128")
@pytest.mark.parametrize("way", [euclidean_distance, torch.cdist], ids=["ours", "one_product"])
def test_displacements(benchmark: BenchmarkFixture, way: Distance) -> None:
    benchmark.extra_info["reference"] = way is torch.cdist
    measure(benchmark, way, 128 if benchmark.enabled else 8, euclidean_distance, DISPLACEMENTS if benchmark.enabled else 3, 256)
