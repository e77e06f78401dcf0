"""Windows of images in memory, scaled back to the whole size with Pillow's bilinear filter, in its fixed point."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ltbench.data.arrays import Floats, Ints
from ltbench.data.augmentation import Augmentation, ImageFacts
from ltbench.data.windows import DRAWS, SMALLEST, random_window
from ltbench.terms.ranges import Fraction

_BITS = 22  # of a weight, as Pillow has them
_TAPS = 3  # source pixels that a pixel of a larger image may read; the weight of one of them is 0


class RandomResizedCrop(Augmentation):
    """Cut a window of random area and shape out (Szegedy et al., 2015, section 6) and scale it to the image's size.

    Images on disk are cut where they are decoded, before they are scaled down. It stands first.

    Args:
        smallest: Area of the smallest window, as a fraction of the image's.
    """

    draws = DRAWS

    def __init__(self, facts: ImageFacts, *, smallest: Fraction = SMALLEST) -> None:
        super().__init__(facts)
        self.smallest = smallest

    def for_decoder(self, uniforms: Floats) -> Floats:
        """Return numbers of which a decoder, which knows the usual smallest area alone, makes windows of this one's."""
        if self.smallest == SMALLEST:
            return uniforms
        changed = uniforms.copy()
        areas = changed[:, :-2:2]
        areas[...] = (self.smallest - SMALLEST + areas * (1 - self.smallest)) / (1 - SMALLEST)
        return changed

    def prepare(self, uniforms: Floats, images: Tensor) -> Ints:
        """Return left, top, width and height of each image's window, shape (N, 4)."""
        height, width = images.shape[2:]
        return np.array([random_window(row, width, height) for row in self.for_decoder(uniforms)], dtype=np.int64).reshape(-1, 4)

    def __call__(self, images: Tensor, drawn: Ints) -> Tensor:
        """Return the windows, scaled."""
        return resized(images, drawn)


def resized(images: Tensor, windows: Ints) -> Tensor:
    """Scale windows of images to the images' own size.

    Args:
        images: uint8, shape (B, channels, height, width).
        windows: Left, top, width and height, shape (B, 4).
    """
    b, c, h, w = images.shape
    columns, weights = (torch.from_numpy(part).to(images.device, non_blocking=True)
                        for part in _taps(windows[:, 0], windows[:, 2], w))
    across = sum(_read(images, columns[:, tap, None, None, :].expand(b, c, h, w), 3) * weights[:, tap, None, None, :]
                 for tap in range(_TAPS))
    wide = _rounded(across)
    rows, weights = (torch.from_numpy(part).to(images.device, non_blocking=True)
                     for part in _taps(windows[:, 1], windows[:, 3], h))
    return _rounded(sum(_read(wide, rows[:, tap, None, :, None].expand(b, c, h, w), 2) * weights[:, tap, None, :, None]
                        for tap in range(_TAPS)))


def _read(images: Tensor, places: Tensor, dim: int) -> Tensor:
    return images.gather(dim, places).int()


def _rounded(sums: Tensor | int) -> Tensor:
    assert isinstance(sums, Tensor)
    return ((sums + (1 << (_BITS - 1))) >> _BITS).clamp(0, 255).to(torch.uint8)


def _taps(starts: Ints, lengths: Ints, size: int) -> tuple[Ints, np.ndarray[tuple[int, int, int], np.dtype[np.int32]]]:
    """Return which source pixels each pixel along an axis reads, int64, and their weights, int32, shape (B, 3, size) both."""
    center = (np.arange(size) + 0.5) * (lengths / size)[:, None]  # (B, size), from the window's start
    first = np.maximum(np.trunc(center - 0.5), 0)
    places = first[:, None] + np.arange(_TAPS)[:, None]  # (B, 3, size)
    inside = places < lengths[:, None, None]
    weights = np.where(inside, np.maximum(1 - np.abs(places - center[:, None] + 0.5), 0), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    sources = np.where(inside, places, 0).astype(np.int64) + starts[:, None, None]
    return sources, np.floor(weights * (1 << _BITS) + 0.5).astype(np.int32)
