"""Statistics of 8,142 classes with 2,048 features, in the class sizes of iNaturalist 2018, against the usual ways.

A pair, or a class, costs the usual way the same whichever it is, so that it does a part and its time is multiplied. Features are
made up. ``make bench`` measures; in the ordinary tests each runs once, smaller.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from ltbench.data.inat18 import INat18
from ltbench.method.class_distances import class_distance_normalized_variance
from ltbench_analysis.variance import intra_class_variance

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

CLASSES, FEATURES = 8142, 2048
LOOPED, COVARIANCES = 200, 10  # classes of the usual ways


def normalized_variance_in_loops(means: Tensor, variance: Tensor) -> float:
    ratios = [(variance[i] + variance[j]) / (2 * (means[i] - means[j]).square().sum())
              for i, j in itertools.combinations(range(len(means)), 2)]
    return float(torch.stack(ratios).mean())


def largest_eigenvalues_of_covariances(features: Tensor, labels: Tensor, classes: list[int]) -> Tensor:
    return torch.stack([torch.linalg.eigvalsh(torch.cov(features[labels == k].double().T, correction=0))[-1] for k in classes])


@pytest.mark.benchmark(group="CDNV, 8,142 classes, D = 2,048")
@pytest.mark.parametrize("way", ["ours", "loops"])
def test_cdnv(benchmark: BenchmarkFixture, way: str) -> None:
    classes = CLASSES if benchmark.enabled else 40
    means, variance = torch.randn(classes, FEATURES if benchmark.enabled else 16), torch.rand(classes) + 1
    few = min(classes, LOOPED)
    if way == "ours":
        benchmark.extra_info["goal"] = 200
        benchmark.pedantic(class_distance_normalized_variance, (means, variance), rounds=3)
        expected = normalized_variance_in_loops(means[:20], variance[:20])
        assert class_distance_normalized_variance(means[:20], variance[:20]) == pytest.approx(expected, rel=1e-5)
    else:
        benchmark.extra_info |= {"reference": True, "scale": classes * (classes - 1) / (few * (few - 1))}
        benchmark.pedantic(normalized_variance_in_loops, (means[:few], variance[:few]), rounds=3)


@pytest.fixture
def tail(benchmark: BenchmarkFixture) -> tuple[Tensor, Tensor]:
    """Return features and labels of 437,513 images; of few where nothing is measured."""
    counts = torch.tensor(INat18.published.train) if benchmark.enabled else torch.tensor([40, 12, 5, 2])
    labels = torch.arange(len(counts)).repeat_interleave(counts)
    features = torch.empty(len(labels), FEATURES if benchmark.enabled else 16)
    for rows in torch.split(features, 8192):  # in parts: 3.3 GiB in all
        rows.normal_()
    return features, labels


@pytest.mark.benchmark(group="largest eigenvalue of each class's covariance, 8,142 classes, D = 2,048")
@pytest.mark.parametrize("way", ["ours", "covariances"])
def test_largest_eigenvalues(benchmark: BenchmarkFixture, tail: tuple[Tensor, Tensor], way: str) -> None:
    features, labels = tail
    classes = int(labels.max()) + 1
    some = torch.linspace(0, classes - 1, min(classes, COVARIANCES)).long().tolist()  # large ones and small ones
    if way == "ours":
        benchmark.extra_info["goal"] = 100
        found = benchmark.pedantic(intra_class_variance, (features, labels, classes), rounds=1)
        expected = largest_eigenvalues_of_covariances(features, labels, some[-2:])
        torch.testing.assert_close(found[some[-2:]], expected, rtol=1e-6, atol=1e-9)
    else:
        benchmark.extra_info |= {"reference": True, "scale": classes / len(some)}
        benchmark.pedantic(largest_eigenvalues_of_covariances, (features, labels, some), rounds=1)
