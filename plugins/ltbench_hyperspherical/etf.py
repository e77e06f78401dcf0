"""The simplex-ETF classifier with the dot-regression loss (Yang et al., 2022, eqs. 1 and 9)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

import ltbench
from ltbench_hyperspherical import setting
from ltbench_hyperspherical.fixed import Dimension, FixedPrototypes, HeadKind, Reduction, Weights
from ltbench_hyperspherical.prototypes import orthogonal_simplices

# d of tables 2, 4, 5 and 6; the classes' number elsewhere.
_DIMENSIONS: Mapping[str, int] = {"cifar10-lt": 64, "svhn-lt": 64, "stl10-lt": 64, "cifar100-lt": 128, "imagenet-lt": 4096}


class SimplexETF(FixedPrototypes):
    """Pull features to the vertices of a regular simplex: every two classes equally far apart, for good.

    With features and vertices of length 1 the dot-regression loss is eq. 6 of Saadabadi et al. (2024).

    Args:
        dim: d, at least C - 1: fewer dimensions hold no simplex of C points. None for C, as in table 2.
        prototype_seed: Of the simplex's rotation.
        head: As of ``hyperspherical``.
        reduction: As of ``hyperspherical``.
        weights: As of ``hyperspherical``.
    """

    name = "etf"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, dim: Dimension = None, prototype_seed: int = 0, head: HeadKind = "linear",
                 reduction: Reduction = "mean", weights: Weights = "none") -> None:
        if dim is not None and dim < facts.num_classes - 1:
            raise ValueError(f"dim must be >= {facts.num_classes - 1}, the number of classes - 1, to hold a simplex, got {dim}")
        super().__init__(facts, dim=dim, prototype_seed=prototype_seed, head=head, reduction=reduction, weights=weights)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting in which Saadabadi et al. print its rows."""
        dim = _DIMENSIONS.get(task.dataset)
        return setting.of_fixed(task, {} if dim is None else {"dim": dim})

    def prototypes(self, ctx: ltbench.Context) -> Tensor:
        """Return the simplex, shape (C, d)."""
        return orthogonal_simplices(self.dim, self.facts.num_classes, torch.Generator().manual_seed(self.prototype_seed))
