from __future__ import annotations

import math

import pytest
import torch
from sklearn.covariance import OAS, EmpiricalCovariance, LedoitWolf
from torch import Tensor

from ltbench.method.class_means import class_centroids
from ltbench_analysis.variance import ESTIMATORS, Estimator, intra_class_variance
from ltbench_ncm.centroids import class_variance

THEIRS = {"empirical": EmpiricalCovariance, "ledoit_wolf": LedoitWolf, "oas": OAS}


def test_by_hand() -> None:
    # Class 0 spreads over (+-2, 0) and (0, +-1) around (5, 5): the covariance is diag(8/4, 2/4).
    features = torch.tensor([[7.0, 5.0], [3.0, 5.0], [5.0, 6.0], [5.0, 4.0], [1.0, 1.0]])
    labels = torch.tensor([0, 0, 0, 0, 1])
    found = intra_class_variance(features, labels, 3)
    assert found[:2].tolist() == pytest.approx([2.0, 0.0])
    assert found[2].isnan()  # no images: no variance, not a variance of 0


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_agrees_with_scikit_learn_on_digits(estimator: Estimator, digits_batch: tuple[Tensor, Tensor]) -> None:
    # A long tail over 64 pixels: large classes go through the covariance, small ones through the Gram matrix.
    images, labels = digits_batch
    kept = torch.cat([(labels == k).nonzero()[: int(150 * 0.03 ** (k / 9)), 0] for k in range(10)])
    features, labels = images.flatten(1)[kept], labels[kept]
    counts = torch.bincount(labels)
    assert counts.min() < 64 < counts.max() and counts.min() >= 2
    expected = []
    for k in range(10):
        covariance = THEIRS[estimator]().fit(features[labels == k].double().numpy()).covariance_
        expected.append(torch.linalg.eigvalsh(torch.as_tensor(covariance))[-1])
    torch.testing.assert_close(intra_class_variance(features, labels, 10, estimator), torch.stack(expected), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_both_sides_of_the_samples_agree(estimator: Estimator) -> None:
    # A class of 5 in 3 dimensions and the same in 8, five of them empty, have one largest eigenvalue; shrinkage sees the width.
    narrow = torch.randn(5, 3, dtype=torch.float64)
    wide = torch.cat([narrow, torch.zeros(5, 5, dtype=torch.float64)], dim=1)
    labels = torch.zeros(5, dtype=torch.int64)
    if estimator == "empirical":
        torch.testing.assert_close(intra_class_variance(wide, labels, 1), intra_class_variance(narrow, labels, 1))
    covariance = THEIRS[estimator]().fit(wide.numpy()).covariance_
    torch.testing.assert_close(intra_class_variance(wide, labels, 1, estimator)[0],
                               torch.linalg.eigvalsh(torch.as_tensor(covariance))[-1])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_equal_samples_have_no_variance(estimator: Estimator) -> None:
    assert intra_class_variance(torch.ones(4, 3), torch.tensor([0, 0, 0, 1]), 2, estimator).tolist() == [0.0, 0.0]


def test_refuses_an_unknown_estimator() -> None:
    with pytest.raises(ValueError, match="estimator must be one of empirical, ledoit_wolf, oas, got 'robust'"):
        intra_class_variance(torch.ones(2, 2), torch.tensor([0, 1]), 2, "robust")  # type: ignore[arg-type]


def test_class_variance_is_the_trace_of_the_covariance(digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch
    features = images.flatten(1)
    means = class_centroids(features, labels, 10)
    expected = torch.stack([torch.cov(features[labels == k].T, correction=0).trace() for k in range(10)])
    torch.testing.assert_close(class_variance(features, labels, means), expected)
    assert math.isclose(float(class_variance(features, labels, class_centroids(features, labels, 11))[10]), 0)


@pytest.mark.slow
def test_thousands_of_classes() -> None:
    counts = (1000 * torch.linspace(1, 0.002, 2000) ** 3).long().clamp_min(2)
    labels = torch.arange(2000).repeat_interleave(counts)
    found = intra_class_variance(torch.randn(len(labels), 128), labels, 2000)
    assert found.shape == (2000,) and (found > 0).all()
