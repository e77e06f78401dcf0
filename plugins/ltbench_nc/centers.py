"""Three ways to have class means for L_W and L_B, on one scale.

Each function takes the features of one model, weights under which the sum of squared distances is L_W divided by C (see
:meth:`ltbench_nc.nc.NeuralCollapse`), and L_B as a function of means and which of them there are; each returns L_W and L_B.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ltbench_nc.losses import class_means_of, within_loss
from ltbench_nc.members import Members

Between = Callable[[Tensor, Tensor], Tensor]
Losses = tuple[Tensor, Tensor]


def with_batch_means(members: Members, features: Tensor, weights: Tensor, between: Between) -> Losses:
    """Take the means of the batch; gradients reach the features through them.

    An image alone of its class lies on its mean: L_W does not move it. Classes without images take no part in L_B.

    Args:
        members: Of a batch.
        features: Of one model, shape (S, d).
        weights: Shape (S,).
        between: Means (K, d), which of them count (K,) -> L_B.
    """
    means = class_means_of(members, features)
    return within_loss(features, means, weights), between(means, members.stand_for_class)


def with_centers(members: Members, features: Tensor, weights: Tensor, between: Between, centers: Tensor,
                 placed: Tensor) -> Losses:
    """Take centers that outlive the batch: an image alone of its class is drawn to its center, and L_B is over all of them.

    Args:
        members: Of a batch.
        features: Of one model, shape (S, d).
        weights: Shape (S,).
        between: Means (K, d), which of them count (K,) -> L_B.
        centers: Shape (C, d): parameters, or running means that a batch has moved, see :func:`moved_centers`.
        placed: Which classes have a center, bool, shape (C,).
    """
    return within_loss(features, centers[members.labels], weights), between(centers, placed)


def means_by_class(members: Members, features: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Return the batch means of all classes, shape (C, d), and which classes have one, bool, shape (C,).

    Args:
        members: Of a batch.
        features: Shape (S, d).
        num_classes: C.
    """
    shares = (members.labels == torch.arange(num_classes, device=features.device)[:, None]) * members.shares  # (C, S)
    total = shares.sum(dim=1)
    means = shares @ features / total.clamp_min(torch.finfo(total.dtype).tiny)[:, None]
    return means, total > 0


def moved_centers(centers: Tensor, placed: Tensor, means: Tensor, present: Tensor, rate: float) -> Tensor:
    """Return c_k + a (h_k - c_k) for the classes present, the others as they are, shape (C, d); gradients go through h_k.

    A class that was never seen is placed on its first mean.

    Args:
        centers: c_k, shape (C, d).
        placed: Which classes were seen before, bool, shape (C,).
        means: h_k, of the batch, shape (C, d).
        present: Which classes it has, bool, shape (C,).
        rate: a.
    """
    share = torch.where(placed, rate, 1.0).to(centers.dtype)[:, None]
    return torch.where(present[:, None], centers + share * (means - centers), centers)
