"""The middle of an image that is far longer than wide, of which the rest would take gigabytes once it is enlarged."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ltbench.data.arrays import Ints
from ltbench.data.windows import Window

Int32s = npt.NDArray[np.int32]
_BITS = 14  # of a weight's fraction, where the largest weight is 1


def source_of(size: tuple[int, int], scaled: tuple[int, int], window: Window) -> Window:
    """Return the part of an image that a window of the enlarged image is made of: left, top, width and height.

    Args:
        size: Width and height.
        scaled: The same of the enlarged image.
        window: In the enlarged image.
    """
    left, top, width, height = window
    (x, _), (y, _) = _taps(size[0], scaled[0], left, width), _taps(size[1], scaled[1], top, height)
    return int(x[0, 0]), int(y[0, 0]), int(x[-1, -1] - x[0, 0]) + 1, int(y[-1, -1] - y[0, 0]) + 1


def enlarged_window(part: Tensor, size: tuple[int, int], scaled: tuple[int, int], window: Window) -> Tensor:
    """Return a window of an image that is enlarged bilinearly: what torch makes of the whole image, to the bit.

    Like torch's kernel for uint8, which is Pillow's, it scales rows and then columns, with weights of 14 bits.

    Args:
        part: What :func:`source_of` names of the image, uint8, shape (3, h, w).

    Returns:
        uint8, shape (3, height, width) of the window.
    """
    left, top, width, height = window
    x, across = _taps(size[0], scaled[0], left, width)
    y, down = _taps(size[1], scaled[1], top, height)
    rows = _mixed(part.numpy().astype(np.int32)[:, :, x - x[0, 0]], across)  # (3, h, width)
    columns = _mixed(rows.transpose(0, 2, 1)[:, :, y - y[0, 0]], down)  # (3, width, height)
    return torch.from_numpy(columns.astype(np.uint8)).permute(0, 2, 1)


def _taps(length: int, scaled: int, start: int, count: int) -> tuple[Ints, Int32s]:
    """Return which pixels of a line each pixel of the longer line mixes, and their weights, both of shape (count, 3)."""
    scale = length / scaled
    centers = scale * (np.arange(start, start + count)[:, None] + 0.5)
    first = np.maximum((centers - 1 + 0.5).astype(np.int64), 0)
    last = np.minimum((centers + 1 + 0.5).astype(np.int64), length)
    places = first + np.arange(3)
    weights = np.where(places < last, np.maximum(1 - np.abs(places - centers + 0.5), 0), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.minimum(places, length - 1), (0.5 + weights * (1 << _BITS)).astype(np.int32)


def _mixed(pixels: Int32s, weights: Int32s) -> Int32s:
    """Mix pixels of shape (..., count, 3)."""
    mixed: Int32s = np.einsum("...ct,ct->...c", pixels, weights)
    return mixed + (1 << _BITS - 1) >> _BITS
