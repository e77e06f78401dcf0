"""AutoAugment's policy for CIFAR-10 (Cubuk et al., 2019, table 7), on batches.

Images of a batch need different operations, so a pass over the two halves of the sub-policies groups them: all warps are one
gather with a matrix an image, and every photometric operation runs once on its group, with a strength an image. Values from
outside an image are black, unless asked otherwise. Images are uint8, shape (B, channels, height, width).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from ltbench.data import photometric, warp
from ltbench.data.arrays import Floats, Ints
from ltbench.data.augmentation import Augmentation, ImageFacts
from ltbench.terms.ranges import Interval

DRAWS = 5  # which sub-policy, whether each half is applied, the sign of each half

# (operation, probability, magnitude from 0 to 9), twice a row.
POLICY: tuple[tuple[tuple[str, float, int], tuple[str, float, int]], ...] = (
    (("invert", 0.1, 0), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.5, 0), ("equalize", 0.9, 0)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("color", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 0), ("equalize", 0.5, 0)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("color", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 0), ("autocontrast", 0.4, 0)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("color", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 0)),
    (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
    (("equalize", 0.2, 0), ("equalize", 0.6, 0)),
    (("color", 0.9, 9), ("equalize", 0.6, 0)),
    (("autocontrast", 0.8, 0), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("color", 0.7, 0)),
    (("solarize", 0.4, 5), ("autocontrast", 0.9, 0)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.9, 0), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 0), ("invert", 0.1, 0)),
    (("translate_y", 0.7, 9), ("autocontrast", 0.9, 0)),
)

_Matrices = Callable[[Floats, tuple[int, int]], Floats]
_WARPS: dict[str, _Matrices] = {
    "shear_x": warp.shear_x,
    "shear_y": warp.shear_y,
    "translate_x": warp.translate_x,
    "translate_y": warp.translate_y,
    "rotate": warp.rotate,
}
_PIXELS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": photometric.brightness,
    "color": photometric.color,
    "contrast": photometric.contrast,
    "sharpness": photometric.sharpness,
    "posterize": photometric.posterize,
    "solarize": photometric.solarize,
    "autocontrast": photometric.autocontrast,
    "equalize": photometric.equalize,
    "invert": photometric.invert,
}
OPERATIONS = (*_WARPS, *_PIXELS)
_NONE = -1
# Table 6 of the paper draws a sign for these; their photometric strengths are distances from 1, the neutral factor.
_FACTORS = ("brightness", "color", "contrast", "sharpness")
_SIGNED = (*_WARPS, *_FACTORS)


def strength(operation: str, magnitude: float, negative: bool, size: tuple[int, int]) -> float:
    """Return the strength that an operation is called with (table 6 of the paper, ten steps a range).

    Args:
        magnitude: 0 to 9.
        negative: Turns the direction, where there is one.
    """
    part = magnitude / 9
    amount = {
        "shear_x": 0.3 * part,
        "shear_y": 0.3 * part,
        "translate_x": 150 / 331 * size[1] * part,
        "translate_y": 150 / 331 * size[0] * part,
        "rotate": 30.0 * part,
        "posterize": 8.0 - round(magnitude / 2.25),
        "solarize": 255 * (9 - magnitude) / 9,  # exact for whole thresholds, which pixels equal
    }.get(operation, 0.9 * part if operation in _FACTORS else 0.0)
    signed = -amount if negative and operation in _SIGNED else amount
    return 1.0 + signed if operation in _FACTORS else signed


def choose(uniforms: Floats, size: tuple[int, int]) -> list[tuple[Ints, Floats]]:
    """Turn uniform numbers, in [0, 1), shape (B, 5), into what happens to each image.

    Returns:
        For each of the two halves: the operation as a position in ``OPERATIONS`` or -1 for none, shape (B,), and its strength,
        shape (B,).
    """
    rows = (uniforms[:, 0] * len(POLICY)).astype(np.int64)
    halves = []
    for half in range(2):
        operation, probability, strengths = _tables(half, size)
        applied = uniforms[:, 1 + half] < probability[rows]
        sign = (uniforms[:, 3 + half] < 0.5).astype(np.int64)
        halves.append((np.where(applied, operation[rows], _NONE), strengths[rows, sign]))
    return halves


@lru_cache
def _tables(half: int, size: tuple[int, int]) -> tuple[Ints, Floats, Floats]:
    """Return operation (25,), probability (25,) and strength, straight and turned, (25, 2)."""
    column = [row[half] for row in POLICY]
    strengths = [[strength(name, magnitude, negative, size) for negative in (False, True)] for name, _, magnitude in column]
    operations = np.array([OPERATIONS.index(name) for name, _, _ in column], dtype=np.int64)
    return operations, np.array([probability for _, probability, _ in column]), np.array(strengths)


def autoaugment(images: Tensor, uniforms: Floats, fill: int = 0) -> Tensor:
    """Apply the policy, as uniform numbers in [0, 1), shape (B, 5), say."""
    size = (images.shape[2], images.shape[3])
    images = images.clone()
    for operations, strengths in choose(uniforms, size):
        apply_each(images, operations, strengths, size, fill)
    return images


def apply_each(images: Tensor, operations: Ints, strengths: Floats, size: tuple[int, int], fill: int = 0) -> None:
    """Apply an operation of its own to each image, in place.

    Args:
        operations: Positions in ``OPERATIONS``, or -1 for none, shape (B,).
        strengths: As :func:`strength` gives them, shape (B,).
        fill: Value of pixels from outside the image, 0 to 255.
    """
    device = images.device
    warped = []
    matrices = []
    for number in np.unique(operations[operations != _NONE]):
        name = OPERATIONS[number]
        members = np.flatnonzero(operations == number)
        if name in _WARPS:
            warped.append(members)
            matrices.append(_WARPS[name](strengths[members], size))
            continue
        where = torch.from_numpy(members).to(device, non_blocking=True)
        amounts = torch.from_numpy(strengths[members].astype(np.float32)).to(device, non_blocking=True)
        images.index_copy_(0, where, _PIXELS[name](images.index_select(0, where), amounts))
    if warped:
        where = torch.from_numpy(np.concatenate(warped)).to(device, non_blocking=True)
        walks = warp.fixed_point(np.concatenate(matrices)).to(device, non_blocking=True)
        images.index_copy_(0, where, warp.warp(images.index_select(0, where), walks, fill))


class AutoAugment(Augmentation):
    """Apply AutoAugment's policy for CIFAR-10 (Cubuk et al., 2019, table 7).

    Args:
        fill: Value of pixels from outside the image: 0 is black; long-tailed codes often take 128.
    """

    draws = DRAWS

    def __init__(self, facts: ImageFacts, *, fill: Annotated[int, Interval(ge=0, le=255)] = 0) -> None:
        super().__init__(facts)
        self.fill = fill

    def __call__(self, images: Tensor, drawn: Floats) -> Tensor:
        """Return changed images."""
        return autoaugment(images, drawn, self.fill)
