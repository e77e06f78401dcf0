"""RandAugment (Cubuk et al., 2020, figure 2): a few random operations, all at one magnitude.

N = 2 and M = 9 of 10 are the paper's choice for ResNet-50 on ImageNet. Magnitudes run over AutoAugment's ranges; where an
operation has a direction, it is drawn.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from torch import Tensor

from ltbench.data.arrays import Floats, Ints
from ltbench.data.augmentation import Augmentation, ImageFacts
from ltbench.data.autoaugment import OPERATIONS, apply_each, strength
from ltbench.terms.ranges import Interval

COUNT = 2
MAGNITUDE = 9
DRAWS = 2 * COUNT
_LARGEST = 10
_LAST = 9  # AutoAugment's own scale ends at 9
# The paper's fourteen: the identity, and AutoAugment's without inversion.
_CHOICES = (None, *(name for name in OPERATIONS if name != "invert"))


def choose(uniforms: Floats, size: tuple[int, int], magnitude: float = MAGNITUDE) -> tuple[Ints, Floats]:
    """Turn uniform numbers into one operation an image.

    Args:
        uniforms: In [0, 1): which operation, and its direction, shape (B, 2).
        magnitude: 0 to 10.

    Returns:
        Positions in ``OPERATIONS``, or -1 for none, and strengths, shape (B,) each.
    """
    level = magnitude * _LAST / _LARGEST
    known = [(-1, 0.0, 0.0) if name is None else
             (OPERATIONS.index(name), *(strength(name, level, negative, size) for negative in (False, True)))
             for name in _CHOICES]
    table = np.array(known)  # (14, 3)
    rows = table[(uniforms[:, 0] * len(_CHOICES)).astype(np.int64)]
    return rows[:, 0].astype(np.int64), np.where(uniforms[:, 1] < 0.5, rows[:, 2], rows[:, 1])


def randaugment(images: Tensor, uniforms: Floats, magnitude: float = MAGNITUDE) -> Tensor:
    """Apply operations one after the other, each drawn from all with equal probability.

    Args:
        uniforms: In [0, 1), two for each operation, shape (B, 2 N).
    """
    size = (images.shape[2], images.shape[3])
    images = images.clone()
    for first in range(0, uniforms.shape[1], 2):
        operations, strengths = choose(uniforms[:, first:first + 2], size, magnitude)
        apply_each(images, operations, strengths, size)
    return images


class RandAugment(Augmentation):
    """Apply a few random operations at one magnitude (Cubuk et al., 2020).

    Args:
        n: How many.
        m: Their magnitude, 0 to 10.
    """

    def __init__(self, facts: ImageFacts, *, n: Annotated[int, Interval(ge=1)] = COUNT,
                 m: Annotated[float, Interval(ge=0, le=10)] = MAGNITUDE) -> None:
        super().__init__(facts)
        self.draws = 2 * n
        self.m = m

    def __call__(self, images: Tensor, drawn: Floats) -> Tensor:
        """Return changed images."""
        return randaugment(images, drawn, self.m)
