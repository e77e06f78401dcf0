"""Where a patch of an image lies (CutMix: Yun et al., 2019)."""

from __future__ import annotations

import math

import torch


def span(length: int, side: float, generator: torch.Generator, *, up: bool = False) -> slice:
    """Return where a patch lies along one axis: ``side`` of its length around a random center, cut at the edges.

    Args:
        length: Of the axis, in pixels.
        side: Of the patch, as a fraction of the length.
        generator: In the same state for every part of a global batch.
        up: Whether the patch's pixels are rounded up, not down.
    """
    pixels = math.ceil(side * length) if up else int(side * length)
    center, half = int(torch.randint(length, (), generator=generator)), pixels // 2
    return slice(max(center - half, 0), min(center + half, length))
