"""Turning the hue of batches of uint8 images, in integers, on Pillow's scale of 8-bit hue, saturation and value."""

from __future__ import annotations

import torch
from torch import Tensor

_FULL = 255


def turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of each image; gray images stay as they are.

    Args:
        turns: In full turns, -0.5 to 0.5, float32, shape (B,).
    """
    if images.shape[1] == 1:
        return images
    hue, saturation, value = _to_hsv(images)
    return _to_rgb((hue + (turns * _FULL).trunc().int().view(-1, 1, 1)) % 256, saturation, value)


def _to_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return hue, saturation and value, int32, 0 to 255, shape (B, height, width) each."""
    red, green, blue = images.int().unbind(1)
    value, low = images.int().amax(1), images.int().amin(1)
    spread = value - low
    # Six times the hue, in parts of the spread: which channel is brightest, and by how much the next one leads.
    others = torch.where(value == green, 2 * spread + blue - red, 4 * spread + red - green)
    sixths = torch.where(value == red, green - blue, others)
    some = spread.clamp(min=1)
    hue = torch.div(_FULL * (sixths % (6 * some)), 6 * some, rounding_mode="floor")
    saturation = torch.div(_FULL * spread, value.clamp(min=1), rounding_mode="floor")
    return torch.where(spread > 0, hue, 0), saturation, value


def _to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Return colors, uint8, shape (B, 3, height, width)."""
    sector = torch.div(6 * hue, _FULL, rounding_mode="floor")
    part = 6 * hue - _FULL * sector
    whole = _FULL * _FULL

    def faded(by: Tensor) -> Tensor:  # value (1 - by / 255^2), rounded
        return torch.div(2 * value * (whole - by) + whole, 2 * whole, rounding_mode="floor")

    p, q, t = faded(_FULL * saturation), faded(saturation * part), faded(saturation * (_FULL - part))
    table = ((value, t, p), (q, value, p), (p, value, t), (p, q, value), (t, p, value), (value, p, q))
    colors = torch.stack([torch.stack(row, dim=1) for row in table])  # (6, B, 3, height, width)
    chosen = (sector % 6)[None, :, None].expand(1, *colors.shape[1:]).long()
    return colors.gather(0, chosen)[0].to(torch.uint8)
