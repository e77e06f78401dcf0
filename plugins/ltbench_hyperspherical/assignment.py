"""Which prototype stands for which label (Saadabadi et al., 2024, section 3.2.3)."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ltbench_hyperspherical.prices import prices

_MANY = 1000  # classes above which the solver alone takes longer than the prices that shorten it


def objective(means: Tensor, prototypes: Tensor, assignment: Tensor) -> Tensor:
    """Return eq. 9's sum divided by C: minus the mean product of a class's running mean and its prototype; scalar, float64.

    Args:
        means: Of each class, shape (C, d).
        prototypes: Shape (C, d).
        assignment: Position of each label's prototype, int64, shape (C,).
    """
    return -(means.double() * prototypes.double()[assignment]).sum(dim=1).mean()


def assign(means: Tensor, prototypes: Tensor, current: Tensor) -> Tensor:
    """Return the bijection that minimizes eq. 9, int64, shape (C,); the current one where none is better.

    The problem is solved exactly, with all of its C^2 costs in float64: 0.8 GB at 10,000 classes, and half of that again on the
    way. It depends on nothing but the arguments: a run that goes on elsewhere, and every rank, comes to the same result.

    Args:
        means: Of each class, shape (C, d).
        prototypes: Shape (C, d).
        current: The assignment so far, int64, shape (C,).
    """
    if not (torch.isfinite(means).all() and torch.isfinite(prototypes).all()):
        return current  # the training has diverged: let the loop, not the solver, say so
    # A GPU makes the product in milliseconds, which takes longest of all in many dimensions; not all other devices have float64.
    device = means.device if means.is_cuda else torch.device("cpu")
    queries = means.detach().to(device).double()
    # Moving all means together adds one constant to each prototype's column, which every bijection pays alike. Early in
    # training all means are nearly parallel; without their common part the solver was 35 times quicker at 3,000 classes.
    queries = queries - queries.mean(dim=0)
    costs = (queries @ prototypes.detach().to(device).double().T).neg_()
    if len(costs) > _MANY:
        costs += prices(costs)  # which every bijection pays alike, too
    best = torch.from_numpy(linear_sum_assignment(costs.cpu().numpy())[1]).to(current)
    # Where nothing is gained, nothing moves: with all prototypes alike (a simplex, no means yet) every bijection is optimal.
    gained = objective(means, prototypes, current) - objective(means, prototypes, best)
    return best if float(gained) > 1e-12 else current


def update_means(means: Tensor, features: Tensor, labels: Tensor, momentum: float) -> Tensor:
    """Return running class means after a batch, z <- alpha z + (1 - alpha) z_i for one sample after the other, shape (C, d).

    A class that had no sample before starts at its first one; a class without samples in the batch stays.

    Args:
        means: Before the batch, shape (C, d); zeros mark a class without samples.
        features: Unit rows, in order, shape (G, d).
        labels: Shape (G,).
        momentum: alpha.
    """
    order = labels.argsort(stable=True)
    ordered = labels[order]
    counts = means.new_zeros(len(means)).index_add_(0, labels, means.new_ones(len(labels)))  # (C,)
    last = counts.cumsum(0)[ordered] - 1
    later = last - torch.arange(len(labels), device=labels.device)  # samples of the same class that come after, (G,)
    first = later == counts[ordered] - 1
    fresh = (means == 0).all(dim=1)
    weights = momentum**later * torch.where(first & fresh[ordered], 1.0, 1.0 - momentum)
    kept = means * (momentum**counts)[:, None]
    return kept.index_add_(0, ordered, weights.to(means.dtype)[:, None] * features.to(means.dtype)[order])
