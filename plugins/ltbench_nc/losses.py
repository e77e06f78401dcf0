"""The two regularizers of Liu et al. (2023, section 3.1) as functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ltbench_nc.angles import smallest_angles
from ltbench_nc.members import Members


def within_weights(members: Members, sizes: Tensor, num_classes: int) -> Tensor:
    """Return the weight of each entry's squared distance in L_W, shape (S,).

    The sum over classes is divided by C, absent ones included: the scale that lambda_1 was chosen for.

    Args:
        members: Of a batch.
        sizes: n_k of each entry's class, shape (S,): in the training set, or in the batch, which is the public code's way.
        num_classes: C.
    """
    return members.shares / (sizes.to(members.shares.dtype).clamp_min(torch.finfo(members.shares.dtype).tiny) * num_classes)


def class_means_of(members: Members, features: Tensor) -> Tensor:
    """Return the batch mean of each entry's class, shape (S, d); gradients reach the features through it.

    Products with an (S, S) matrix: S is a batch, C may be thousands, and nothing waits to learn which classes are present.

    Args:
        members: Of a batch.
        features: Of one expert, shape (S, d).
    """
    together = members.together
    return together @ features / together.sum(dim=1, keepdim=True).clamp_min(torch.finfo(together.dtype).tiny)


def within_loss(features: Tensor, means: Tensor, weights: Tensor) -> Tensor:
    """Return L_W, the weighted sum of squared distances to the class means (eq. 13, divided by C).

    Args:
        features: Shape (S, d).
        means: Of each entry's class, shape (S, d).
        weights: Shape (S,).
    """
    return (weights * (features - means).square().sum(dim=1)).sum()


def between_loss(means: Tensor, present: Tensor) -> Tensor:
    """Return L_B, minus the mean over classes of the angle to the nearest other centered mean (eq. 15), in radians.

    It is smallest at a simplex ETF, -arccos(-1 / (K - 1)), and 0 where fewer than two classes are present.

    Args:
        means: Shape (K, d).
        present: Which rows are class means, each class once, bool, shape (K,).
    """
    angles, counted = smallest_angles(means, present)
    return -angles.sum() / counted.sum().clamp_min(1)


def smallest_between_loss(means: Tensor, present: Tensor) -> Tensor:
    """Return minus the smallest of all angles, in radians; 0 where fewer than two classes are present.

    It moves one pair a step, where :func:`between_loss` moves every class.

    Args:
        means: Shape (K, d).
        present: Which rows are class means, each class once, bool, shape (K,).
    """
    angles, counted = smallest_angles(means, present)
    return -torch.where(counted.any(), torch.where(counted, angles, torch.full_like(angles, math.pi)).amin(), 0.0)
