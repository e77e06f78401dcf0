"""Intra-class variance, the largest eigenvalue of a class's covariance (Learned NCM paper, eq. 1, section A.2).

The covariance is the empirical one, or one of two that shrink it towards a multiple of the identity: Ledoit and Wolf (2004), and
the oracle-approximating one of Chen et al. (2010), both as scikit-learn computes them. All need nothing of the covariance but its
largest eigenvalue, its trace and its Frobenius norm, and these a class of n samples in D dimensions has in common with its Gram
matrix, n x n: for small classes of wide features, most of the work falls away.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Estimator = Literal["empirical", "ledoit_wolf", "oas"]
ESTIMATORS: tuple[Estimator, ...] = ("empirical", "ledoit_wolf", "oas")


def intra_class_variance(features: Tensor, labels: Tensor, num_classes: int, estimator: Estimator = "empirical") -> Tensor:
    """Return the largest eigenvalue of each class's covariance, float64, shape (C,).

    A class with one sample has variance 0; one without samples has none (NaN).

    Args:
        features: Shape (N, D).
        labels: Shape (N,).
        num_classes: C.
        estimator: Of the covariance.

    Raises:
        ValueError: If the estimator is not known.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator must be one of {', '.join(ESTIMATORS)}, got {estimator!r}")
    order = labels.argsort(stable=True)
    counts = torch.bincount(labels, minlength=num_classes).tolist()
    return torch.stack([_largest(features[rows].double(), estimator) for rows in torch.split(order, counts)])


def _largest(samples: Tensor, estimator: Estimator) -> Tensor:
    """Return the largest eigenvalue of the covariance of samples (n, D)."""
    n, d = samples.shape
    if n == 0:
        return samples.new_full((), torch.nan)
    centered = samples - samples.mean(dim=0)
    # Both matrices have the same eigenvalues, up to zeros.
    small = (centered @ centered.T if n < d else centered.T @ centered) / n
    largest: Tensor = torch.linalg.eigvalsh(small)[-1].clamp_min(0)
    trace, squared = small.trace(), small.square().sum()
    if estimator == "empirical" or trace == 0:
        return largest
    if estimator == "oas":
        shrinkage = _oas(trace, squared, n, d)
    else:
        shrinkage = _ledoit_wolf(trace, squared, centered.square().sum(dim=1).square().mean(), n, d)
    # (1 - s) S + s (tr S / D) I has the same eigenvectors.
    shrunk: Tensor = (1 - shrinkage) * largest + shrinkage * trace / d
    return shrunk


def _oas(trace: Tensor, squared: Tensor, n: int, d: int) -> Tensor:
    """Return the shrinkage of Chen et al. (2010, eq. 23), with the terms in 2 / D left out as scikit-learn does."""
    mean = trace / d
    alpha = squared / d**2
    denominator = (n + 1) * (alpha - mean**2 / d)
    shrinkage: Tensor = ((alpha + mean**2) / denominator).clamp_max(1)
    return shrinkage if denominator > 0 else torch.ones_like(trace)


def _ledoit_wolf(trace: Tensor, squared: Tensor, fourth: Tensor, n: int, d: int) -> Tensor:
    """Return the shrinkage of Ledoit and Wolf (2004, section 3.3): how noisy the covariance is against how far from spherical.

    Args:
        trace: Of the covariance.
        squared: Its squared Frobenius norm.
        fourth: Mean fourth power of a sample's norm.
        n: Samples.
        d: D.
    """
    distance = squared - trace**2 / d
    noise = (fourth - squared) / n
    return torch.minimum(noise, distance).clamp_min(0) / distance if distance > 0 else torch.zeros_like(trace)
