"""Test-time ensembling (Shi et al., 2024, section 4.4): five crops of an enlarged image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

import ltbench

_AT = 224  # the size that the paper's enlargement is of


class FiveCrops(ltbench.Method):
    """Average the logits of five crops of an enlarged test image, its corners and its middle; training is as without it.

    An image cut at other places falls into other patches, so that what lies across two of them in one crop is whole in another.

    Args:
        expand: Pixels by which an image of 224 x 224 is enlarged; images of another size in proportion, by 1 at least.
    """

    name = "tte"
    stages = frozenset({1, 2})

    def __init__(self, facts: ltbench.Facts, *, expand: Annotated[int, ltbench.Interval(ge=1)] = 24) -> None:
        super().__init__(facts)
        self.expand = expand

    def test_views(self, ctx: ltbench.Context, images: Tensor) -> Sequence[Tensor]:
        """Return the five crops, each of the images' own size, shape (B, channels, H, W)."""
        height, width = images.shape[2:]
        more = [max(1, round(self.expand * size / _AT)) for size in (height, width)]
        enlarged = F.interpolate(images, (height + more[0], width + more[1]), mode="bilinear", antialias=True)
        corners = [(top, left) for top in (0, more[0]) for left in (0, more[1])]
        middle = round(more[0] / 2), round(more[1] / 2)
        return [enlarged[:, :, top:top + height, left:left + width] for top, left in [*corners, middle]]
