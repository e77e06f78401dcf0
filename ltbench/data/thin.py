"""The middle of an image that is far longer than wide, of which the rest would take gigabytes once it is enlarged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ltbench.data.arrays import Floats, Ints
from ltbench.data.windows import Window

Int32s = npt.NDArray[np.int32]
_BITS = 14  # of a weight's fraction, where the largest weight is 1


def source_of(size: tuple[int, int], scaled: tuple[int, int], window: Window, interpolation: str = "bilinear") -> Window:
    """Return the part of an image that a window of the enlarged image is made of: left, top, width and height.

    Args:
        size: Width and height.
        scaled: The same of the enlarged image.
        window: In the enlarged image.
    """
    left, top, width, height = window
    x, y = (_taps(*line, interpolation)[0] for line in ((size[0], scaled[0], left, width), (size[1], scaled[1], top, height)))
    return int(x[0, 0]), int(y[0, 0]), int(x[-1, -1] - x[0, 0]) + 1, int(y[-1, -1] - y[0, 0]) + 1


def enlarged_window(part: Tensor, size: tuple[int, int], scaled: tuple[int, int], window: Window,
                    interpolation: str = "bilinear") -> Tensor:
    """Return a window of an enlarged image: what torch makes of the whole image, to the bit; by the cubic but for a gray level.

    Like torch's kernel for uint8, which is Pillow's, it scales rows and then columns, with weights of 14 bits.

    Args:
        part: What :func:`source_of` names of the image, uint8, shape (3, h, w).

    Returns:
        uint8, shape (3, height, width) of the window.
    """
    left, top, width, height = window
    x, across = _taps(size[0], scaled[0], left, width, interpolation)
    y, down = _taps(size[1], scaled[1], top, height, interpolation)
    rows = _mixed(part.numpy().astype(np.int32)[:, :, x - x[0, 0]], across)  # (3, h, width)
    columns = _mixed(rows.transpose(0, 2, 1)[:, :, y - y[0, 0]], down)  # (3, width, height)
    return torch.from_numpy(columns.astype(np.uint8)).permute(0, 2, 1)


def _taps(length: int, scaled: int, start: int, count: int, interpolation: str) -> tuple[Ints, Int32s]:
    """Return which pixels of a line each pixel of the longer line mixes, and their weights, both of shape (count, 3 or 5)."""
    reach, kernel = _KERNELS[interpolation]
    scale = length / scaled
    centers = scale * (np.arange(start, start + count)[:, None] + 0.5)
    first = np.maximum((centers - reach + 0.5).astype(np.int64), 0)
    last = np.minimum((centers + reach + 0.5).astype(np.int64), length)
    places = first + np.arange(2 * reach + 1)
    weights = np.where(places < last, kernel(np.abs(places - centers + 0.5)), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.minimum(places, length - 1), np.floor(0.5 + weights * (1 << _BITS)).astype(np.int32)


def _triangle(distance: Floats) -> Floats:
    return np.maximum(1 - distance, 0)


def _cubic(distance: Floats) -> Floats:
    """Keys's cubic with a = -1/2, which Pillow and torch take where they antialias."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance < 1, near, np.where(distance < 2, far, 0))


# How many pixels to each side count, and how much by their distance.
_KERNELS: dict[str, tuple[int, Callable[[Floats], Floats]]] = {"bilinear": (1, _triangle), "bicubic": (2, _cubic)}


def _mixed(pixels: Int32s, weights: Int32s) -> Int32s:
    """Mix pixels of shape (..., count, taps)."""
    sums: Int32s = np.einsum("...ct,ct->...c", pixels, weights)
    mixed: Int32s = np.clip(sums + (1 << _BITS - 1) >> _BITS, 0, 255)
    return mixed
