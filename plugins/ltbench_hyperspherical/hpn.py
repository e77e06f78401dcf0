"""Hyperspherical prototype networks (Mettes et al., 2019, eqs. 1 and 4), without privileged information."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench
from ltbench_hyperspherical import setting
from ltbench_hyperspherical.fixed import FixedPrototypes

_STEPS = 1000
_RATE = 0.1
_MOMENTUM = 0.9


@functools.lru_cache(maxsize=8)
def separate(dim: int, count: int, seed: int) -> Tensor:
    """Descend the mean over prototypes of the cosine with the nearest other one; return unit rows, float32, shape (C, d).

    Args:
        dim: d.
        count: C.
        seed: Of the starting points.
    """
    generator = torch.Generator().manual_seed(seed)
    unit = F.normalize(torch.randn(count, dim, generator=generator), dim=1)
    speed = torch.zeros_like(unit)
    for _ in range(_STEPS):
        nearest = (unit @ unit.T).fill_diagonal_(-2).argmax(dim=1)  # (C,)
        # Both ends of a closest pair are pushed: the cosine's slope on one is the other.
        slope = unit[nearest].index_add(0, nearest, unit) / count
        slope -= (slope * unit).sum(dim=1, keepdim=True) * unit
        speed = _MOMENTUM * speed - _RATE * slope
        unit = F.normalize(unit + speed, dim=1)
    return unit


class HypersphericalPrototypeNetwork(FixedPrototypes):
    """Pull features to prototypes whose nearest neighbors were pushed apart, by the squared cosine distance.

    Class names' word vectors, by which the original places related classes side by side, are not used: a dataset has none.
    Its best d in table 2 is the default, C.
    """

    name = "hpn"
    stages = frozenset({1})

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting in which Saadabadi et al. (2024) quote its rows."""
        return setting.of_fixed(task) if task.dataset in ("cifar100", "imagenet200") else None

    def prototypes(self, ctx: ltbench.Context) -> Tensor:
        """Return separated prototypes, shape (C, d)."""
        return separate(self.dim, self.facts.num_classes, self.prototype_seed)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (1 - cos)^2 of every sample, shape (B,)."""
        return (1 - logits.gather(1, labels[:, None])[:, 0]).square()
