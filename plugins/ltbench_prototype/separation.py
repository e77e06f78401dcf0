"""How far prototypes lie apart, by pairs of head and tail classes (Sharma et al., 2023, figure 3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench

_ROWS = 1024
_GROUPS = ("all", "head", "tail")
_PAIRS = (("all", "all"), ("head", "head"), ("head", "tail"), ("tail", "tail"))


def separation(prototypes: Tensor, class_counts: Tensor) -> dict[str, float]:
    """Average the Euclidean distance and the cosine over pairs of different classes.

    The paper does not say what head and tail are: here the many- and the few-shot classes.

    Args:
        prototypes: Shape (C, d).
        class_counts: Training images of each class, shape (C,); classes without any are in no pair.

    Returns:
        ``separation_head_euclidean``, ``separation_head_cosine`` and so on, for ``all``, ``head``, ``head_tail`` and ``tail``
        pairs; without those of which there are none.
    """
    splits = ltbench.shot_splits(class_counts)
    members = torch.stack([class_counts > 0, splits["many"], splits["few"]], dim=1).double()  # (C, 3)
    sizes = members.sum(dim=0)
    pairs = sizes.outer(sizes) - members.T @ members  # (3, 3), without a class and itself
    found = {"euclidean": _distances(prototypes, members), "cosine": _cosines(prototypes, members)}
    return {f"separation_{a if a == b else f'{a}_{b}'}_{kind}": float(sums[i, j] / pairs[i, j])
            for a, b in _PAIRS for i, j in [(_GROUPS.index(a), _GROUPS.index(b))] if pairs[i, j] > 0
            for kind, sums in found.items()}


def _distances(prototypes: Tensor, members: Tensor) -> Tensor:
    """Return the distances summed over pairs of groups, shape (3, 3), a block of rows at a time; a class and itself add 0."""
    sums = members.new_zeros(len(_GROUPS), len(_GROUPS))
    for start in range(0, len(prototypes), _ROWS):
        rows, where = prototypes[start:start + _ROWS], members[start:start + _ROWS]
        sums += where.T @ (ltbench.euclidean_distance(rows, rows).double() @ where)
        if start + _ROWS < len(prototypes):  # distances are symmetric: the other way round they need not be computed
            others = ltbench.euclidean_distance(rows, prototypes[start + _ROWS:]).double() @ members[start + _ROWS:]
            sums += where.T @ others + (where.T @ others).T
    return sums


def _cosines(prototypes: Tensor, members: Tensor) -> Tensor:
    """Return the cosines summed over pairs of groups, shape (3, 3): those of unit vectors are products of the groups' sums."""
    unit = F.normalize(prototypes.double(), dim=1)
    sums = members.T @ unit  # (3, d)
    own = members.T @ (members * unit.square().sum(dim=1, keepdim=True))
    return sums @ sums.T - own
