"""Affine warps of uint8 images with nearest sampling, in integers: the same pixels on every machine, and the same as Pillow's.

Pillow walks the source in 16.16 fixed point. Doing the same keeps the one place where a rounding error could pick another pixel
out of floating point.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ltbench.data.arrays import Floats

_ONE = 65536  # 1.0 in 16.16 fixed point


def fixed_point(matrices: Floats) -> Tensor:
    """Turn matrices into the fixed-point walk over pixel centers.

    Args:
        matrices: Rows (a, b, c, d, e, f): output (x, y) reads source (a x + b y + c, d x + e y + f), shape (B, 6).

    Returns:
        The same rows with c and f for the center of pixel (0, 0), int64, shape (B, 6).
    """
    moved = matrices.copy()
    moved[:, 2] += (matrices[:, 0] + matrices[:, 1]) * 0.5
    moved[:, 5] += (matrices[:, 3] + matrices[:, 4]) * 0.5
    return torch.from_numpy(np.floor(moved * _ONE + 0.5).astype(np.int64))


def warp(images: Tensor, walks: Tensor, fill: int = 0) -> Tensor:
    """Sample every image along its own walk.

    Args:
        walks: As :func:`fixed_point` gives them, on the same device, shape (B, 6).
    """
    b, c, h, w = images.shape
    x = torch.arange(w, device=images.device)  # (w,)
    y = torch.arange(h, device=images.device)[:, None]  # (h, 1)
    a = walks[:, :, None, None]  # (B, 6, 1, 1)
    column = (a[:, 0] * x + a[:, 1] * y + a[:, 2]) >> 16  # (B, h, w)
    row = (a[:, 3] * x + a[:, 4] * y + a[:, 5]) >> 16
    inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
    flat = torch.where(inside, row * w + column, 0).view(b, 1, h * w).expand(b, c, h * w)
    sampled = images.reshape(b, c, h * w).gather(2, flat).view(b, c, h, w)
    return torch.where(inside[:, None], sampled, torch.full_like(sampled, fill))


def shear_x(amounts: Floats, size: tuple[int, int]) -> Floats:
    """Return matrices that read (x + amount y, y): the corner stays where it is, shape (B, 6)."""
    return _rows(len(amounts), b=amounts)


def shear_y(amounts: Floats, size: tuple[int, int]) -> Floats:
    """Return matrices that read (x, y + amount x), shape (B, 6)."""
    return _rows(len(amounts), d=amounts)


def translate_x(amounts: Floats, size: tuple[int, int]) -> Floats:
    """Return matrices that move an image right by whole pixels (the amount without its fraction), shape (B, 6)."""
    return _rows(len(amounts), c=-np.trunc(amounts))


def translate_y(amounts: Floats, size: tuple[int, int]) -> Floats:
    """Return matrices that move an image down by whole pixels, shape (B, 6)."""
    return _rows(len(amounts), f=-np.trunc(amounts))


def rotate(degrees: Floats, size: tuple[int, int]) -> Floats:
    """Return matrices that turn an image of (height, width) counterclockwise about its center, shape (B, 6)."""
    radians = -np.deg2rad(degrees)
    # 15 digits, as Pillow has it: a quarter turn becomes exact, and the last bit of a machine's sine drops out.
    cos, sin = np.cos(radians).round(15), np.sin(radians).round(15)
    x, y = size[1] / 2, size[0] / 2
    return _rows(len(degrees), a=cos, b=sin, c=x - cos * x - sin * y, d=-sin, e=cos, f=y + sin * x - cos * y)


def _rows(count: int, **columns: Floats) -> Floats:
    rows = np.tile(np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]), (count, 1))  # the identity
    for name, values in columns.items():
        rows[:, "abcdef".index(name)] = values
    return rows
