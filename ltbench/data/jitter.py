"""Color jitter of whole batches: brightness, contrast and saturation by random factors, in random order."""

from __future__ import annotations

import itertools
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from ltbench.data import photometric
from ltbench.data.arrays import Floats
from ltbench.data.augmentation import Augmentation, ImageFacts, change_some
from ltbench.data.hue import turn_hue
from ltbench.terms.ranges import Fraction, Interval

DRAWS = 4
STRENGTH = 0.4
_OPERATIONS = (photometric.brightness, photometric.contrast, photometric.color)


def jitter(images: Tensor, uniforms: Floats, strengths: tuple[float, float, float] = (STRENGTH,) * 3, hue: float = 0.0) -> Tensor:
    """Change colors as torchvision's ``ColorJitter`` does on Pillow images.

    Args:
        uniforms: In [0, 1): three factors and the order, and the turn of the hue where it is turned, shape (B, 4 or more).
        strengths: Of brightness, contrast and saturation: factors are drawn from 1 - strength to 1 + strength.
        hue: Largest turn of the hue, in full turns.
    """
    operations = (*_OPERATIONS, turn_hue) if hue else _OPERATIONS
    spread = np.array(strengths)
    factors = 1 - spread + 2 * spread * uniforms[:, :3]
    if hue:
        factors = np.concatenate([factors, hue * (2 * uniforms[:, 4:5] - 1)], axis=1)
    amounts = torch.from_numpy(factors.astype(np.float32)).to(images.device, non_blocking=True)  # (B, 3 or 4)
    permutations = np.array(list(itertools.permutations(range(len(operations)))))
    orders = permutations[(uniforms[:, 3] * len(permutations)).astype(np.int64)]  # (B, 3 or 4)
    result = images.clone()
    for place in range(len(operations)):
        for number, operation in enumerate(operations):
            chosen = np.flatnonzero(orders[:, place] == number)
            if not len(chosen):
                continue
            rows = torch.from_numpy(chosen).to(images.device, non_blocking=True)
            result[rows] = operation(result[rows], amounts[rows, number])
    return result


class Jitter(Augmentation):
    """Change brightness, contrast, saturation and hue by random amounts, in random order.

    Args:
        brightness: Factors are drawn from 1 - this to 1 + this.
        contrast: The same of contrast.
        saturation: The same of saturation.
        hue: Largest turn of the hue, in full turns.
        p: Part of the images that are changed.
    """

    draws = DRAWS + 2

    def __init__(self, facts: ImageFacts, *, brightness: Fraction = STRENGTH, contrast: Fraction = STRENGTH,
                 saturation: Fraction = STRENGTH, hue: Annotated[float, Interval(ge=0, le=0.5)] = 0.0, p: Fraction = 1.0) -> None:
        super().__init__(facts)
        self.strengths = (brightness, contrast, saturation)
        self.hue = hue
        self.p = p

    def __call__(self, images: Tensor, drawn: Floats) -> Tensor:
        """Return images of which some are changed."""
        return change_some(images, drawn[:, DRAWS + 1] < self.p,
                           lambda some, rows: jitter(some, drawn[rows], self.strengths, self.hue))
