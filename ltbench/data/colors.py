"""Augmentations of color and sharpness that contrastive methods use: grayscale, solarize, Gaussian blur."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ltbench.data import photometric
from ltbench.data.arrays import Floats
from ltbench.data.augmentation import Augmentation, ImageFacts, change_some
from ltbench.terms.ranges import Fraction, Interval, Positive

_BITS = 16  # of a weight of the blur


class Grayscale(Augmentation):
    """Make some images gray, in as many channels as before.

    Args:
        p: Part of the images that are made gray.
    """

    draws = 1

    def __init__(self, facts: ImageFacts, *, p: Fraction = 0.2) -> None:
        super().__init__(facts)
        self.p = p

    def __call__(self, images: Tensor, drawn: Floats) -> Tensor:
        """Return images of which some are gray."""
        return change_some(images, drawn[:, 0] < self.p, lambda some, _: photometric.gray(some).expand_as(some))


class Solarize(Augmentation):
    """Invert the bright pixels of some images.

    Args:
        threshold: The darkest value that is inverted, 0 to 255.
        p: Part of the images that are changed.
    """

    draws = 1

    def __init__(self, facts: ImageFacts, *, threshold: Annotated[int, Interval(ge=0, le=255)] = 128, p: Fraction = 0.2) -> None:
        super().__init__(facts)
        self.threshold = threshold
        self.p = p

    def __call__(self, images: Tensor, drawn: Floats) -> Tensor:
        """Return images of which some are solarized."""
        return change_some(images, drawn[:, 0] < self.p,
                           lambda some, _: torch.where(some < self.threshold, some, 255 - some))


class GaussianBlur(Augmentation):
    """Blur some images with a Gaussian of random width (Chen et al., 2020, appendix A).

    Args:
        smallest: Least standard deviation, in pixels.
        largest: Largest standard deviation.
        kernel: Pixels that a sum reaches over, an odd number; None for a tenth of the image, as the paper has it.
        p: Part of the images that are blurred.
    """

    draws = 2

    def __init__(self, facts: ImageFacts, *, smallest: Positive = 0.1, largest: Positive = 2.0,
                 kernel: Annotated[int, Interval(ge=3)] | None = None, p: Fraction = 0.5) -> None:
        super().__init__(facts)
        if smallest > largest:
            raise ValueError(f"smallest must be <= largest, got {smallest} and {largest}")
        self.kernel = 2 * max(1, round(facts.size / 20)) + 1 if kernel is None else kernel
        if self.kernel % 2 == 0 or self.kernel // 2 >= facts.size:
            raise ValueError(f"kernel must be odd and below 2 x {facts.size} pixels, got {self.kernel}")
        self.smallest, self.largest, self.p = smallest, largest, p

    def __call__(self, images: Tensor, drawn: Floats) -> Tensor:
        """Return images of which some are blurred."""
        return change_some(images, drawn[:, 0] < self.p, lambda some, rows: blur(
            some, self.smallest + drawn[rows, 1] * (self.largest - self.smallest), self.kernel))


def blur(images: Tensor, sigmas: Floats, kernel: int) -> Tensor:
    """Blur images, each with a Gaussian of its own; beyond the border the image is mirrored.

    Args:
        images: uint8, shape (B, channels, height, width).
        sigmas: Standard deviations, in pixels, shape (B,).
        kernel: Pixels that a sum reaches over, odd.
    """
    reach = kernel // 2
    bells = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigmas[:, None]) ** 2)  # (B, kernel)
    weights = np.floor(bells / bells.sum(axis=1, keepdims=True) * (1 << _BITS) + 0.5).astype(np.int32)
    weights[:, reach] += (1 << _BITS) - weights.sum(axis=1, dtype=np.int32)  # in integers a flat image stays as it is
    taps = torch.from_numpy(weights).to(images.device, non_blocking=True)
    padded = F.pad(images.float(), (reach,) * 4, mode="reflect").int()  # padding takes no integers; these are exact
    return _along(_along(padded, taps, 3), taps, 2).to(torch.uint8)


def _along(images: Tensor, taps: Tensor, dim: int) -> Tensor:
    """Sum neighbors along an axis, rounded, int32; the axis loses what the kernel reaches beyond."""
    kernel = taps.shape[1]
    size = images.shape[dim] - kernel + 1
    sums = torch.full_like(images.narrow(dim, 0, size), 1 << (_BITS - 1))
    for place in range(kernel):
        sums += taps[:, place].view(-1, 1, 1, 1) * images.narrow(dim, place, size)
    return sums >> _BITS
