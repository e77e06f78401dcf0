"""Which part of an image a training sees: a window of random area and shape (Szegedy et al., 2015, section 6)."""

from __future__ import annotations

import math

from ltbench.data.arrays import Floats

NAME = "random_resized_crop"
_ATTEMPTS = 10
DRAWS = 2 * _ATTEMPTS + 2
SMALLEST = 0.08  # of the image's area
_LARGEST = 1.0
_LOG_SHAPE = (math.log(3 / 4), math.log(4 / 3))

Window = tuple[int, int, int, int]


def random_window(uniforms: Floats, width: int, height: int) -> Window:
    """Return left, top, width and height of a window with 8 to 100 % of the area and a shape from 3:4 to 4:3.

    Up to ten shapes are drawn until one fits; where none does, the largest centered window of an allowed shape is taken.

    Args:
        uniforms: Numbers in [0, 1): an area and a shape for each attempt, then the two of the place, shape (22,).
    """
    for attempt in range(_ATTEMPTS):
        area = width * height * (SMALLEST + float(uniforms[2 * attempt]) * (_LARGEST - SMALLEST))
        shape = math.exp(_LOG_SHAPE[0] + float(uniforms[2 * attempt + 1]) * (_LOG_SHAPE[1] - _LOG_SHAPE[0]))
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w <= width and 0 < h <= height:
            across, down = (float(number) for number in uniforms[2 * _ATTEMPTS:])
            return int(across * (width - w + 1)), int(down * (height - h + 1)), w, h
    narrowest, widest = (math.exp(bound) for bound in _LOG_SHAPE)
    w = min(width, round(height * widest))
    h = min(height, round(width / narrowest))
    return (width - w) // 2, (height - h) // 2, w, h


def plain_size(width: int, height: int, shorter: int) -> tuple[int, int]:
    """Return width and height of an image whose shorter side is scaled to ``shorter``; the longer one is truncated."""
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter
