"""Photometric operations on batches of uint8 images, each with a strength an image; Pillow's definitions.

Everything is integer arithmetic, or single float operations on each pixel, so an image comes out the same alone and in a batch.
"""

from __future__ import annotations

import torch
from torch import Tensor


def blend(base: Tensor, images: Tensor, factors: Tensor) -> Tensor:
    """Return ``base + factor (image - base)``, truncated to 0..255 as Pillow does.

    Args:
        base: What factor 0 gives, uint8, shape (B, channels or 1, height or 1, width or 1).
    """
    low = base.float()
    return (low + factors.view(-1, 1, 1, 1) * (images.float() - low)).clamp(0, 255).to(torch.uint8)


def gray(images: Tensor) -> Tensor:
    """Return the luma of ITU-R 601-2 in Pillow's fixed point, uint8, shape (B, 1, height, width)."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.int().unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).to(torch.uint8)[:, None]


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with black."""
    return blend(torch.zeros_like(images[:, :1, :1, :1]), images, factors)


def color(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with the gray image."""
    return blend(gray(images), images, factors)


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with the mean luma, rounded half up."""
    luma = gray(images).long()
    size = luma[0].numel()
    mean = (2 * luma.sum((1, 2, 3), keepdim=True) + size) // (2 * size)
    return blend(mean.to(torch.uint8), images, factors)


def sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with a smoothed image: weights 5 in the middle and 1 around, over 13, rounded; the border stays as it is."""
    wide = images.int()
    h, w = images.shape[2:]
    if h < 3 or w < 3:
        return images
    around = sum(wide[:, :, dy:h - 2 + dy, dx:w - 2 + dx] for dy in range(3) for dx in range(3))
    smooth = images.clone()
    inner = 2 * (around + 4 * wide[:, :, 1:-1, 1:-1]) + 13
    smooth[:, :, 1:-1, 1:-1] = torch.div(inner, 26, rounding_mode="floor").to(torch.uint8)
    return blend(smooth, images, factors)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest ``bits`` (float32, fraction dropped, shape (B,)) of every value."""
    mask = 256 - torch.pow(2.0, 8 - bits.trunc()).int()
    return (images.int() & mask.view(-1, 1, 1, 1)).to(torch.uint8)


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Invert the values that are not below ``thresholds`` (float32, shape (B,))."""
    return torch.where(images.float() < thresholds.view(-1, 1, 1, 1), images, 255 - images)


def invert(images: Tensor, unused: Tensor) -> Tensor:
    """Return 255 minus every value."""
    return 255 - images


def autocontrast(images: Tensor, unused: Tensor) -> Tensor:
    """Stretch each channel so that its darkest value becomes 0 and its brightest 255, truncated; flat channels stay."""
    wide = images.int()
    low, high = wide.amin((2, 3), keepdim=True), wide.amax((2, 3), keepdim=True)
    stretched = torch.div((wide - low) * 255, (high - low).clamp(min=1), rounding_mode="floor")
    return torch.where(high > low, stretched, wide).to(torch.uint8)


def equalize(images: Tensor, unused: Tensor) -> Tensor:
    """Flatten each channel's histogram with Pillow's rule, in integers."""
    b, c, h, w = images.shape
    values = images.reshape(b * c, h * w).long()
    counts = torch.zeros(b * c, 256, dtype=torch.long, device=images.device)
    counts.scatter_add_(1, values, torch.ones_like(values))  # (B c, 256)
    brightest = counts.gather(1, values.amax(1, keepdim=True))
    step = torch.div(h * w - brightest, 255, rounding_mode="floor")  # (B c, 1)
    below = counts.cumsum(1) - counts
    table = torch.div(below + torch.div(step, 2, rounding_mode="floor"), step.clamp(min=1), rounding_mode="floor").clamp(max=255)
    flattened = torch.where(step > 0, table.gather(1, values), values)
    return flattened.view(b, c, h, w).to(torch.uint8)
