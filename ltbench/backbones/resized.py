"""Images at the size that a backbone's weights were trained for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltbench.backbones.request import feature_dim

_AT_ONCE = 64 * 224 * 224  # pixels: 64 usual images, however many of 32 x 32 came in one batch


class Scaled(nn.Module):
    """Scale normalized images to squares of one size: what is linear in the pixels commutes with normalization.

    Args:
        size: Height and width, in pixels.
        interpolation: ``bilinear`` or ``bicubic``, with antialiasing, as image files are scaled.
        mean: Of the normalization that images have been through, per channel, as ``std``; for bicubic.
    """

    def __init__(self, size: int, interpolation: str = "bilinear", mean: Sequence[float] = (0.0,),
                 std: Sequence[float] = (1.0,)) -> None:
        super().__init__()
        self.size, self.interpolation = size, interpolation
        center, spread = (torch.tensor(value).view(-1, 1, 1) for value in (mean, std))
        self.register_buffer("_black", -center / spread, persistent=False)
        self.register_buffer("_white", (1 - center) / spread, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return images of any size, shape (B, channels, height, width), at the one size."""
        if images.shape[2:] == (self.size, self.size):
            return images
        if self.interpolation == "bilinear":
            return F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        # A cubic overshoots at edges, which Pillow cuts off at black and white, in each direction. Noise that was added to images
        # may lie beyond, and stays.
        low = torch.minimum(images.amin((2, 3), keepdim=True), self.get_buffer("_black"))
        high = torch.maximum(images.amax((2, 3), keepdim=True), self.get_buffer("_white"))
        for shape in ((images.shape[2], self.size), (self.size, self.size)):
            images = F.interpolate(images, shape, mode=self.interpolation, antialias=True).clamp(low, high)
        return images


class Resized(nn.Module):
    """Scale images on the device, then embed them.

    Args:
        backbone: Frozen and in evaluation mode: images are embedded a few at a time.
    """

    feature_dim: int

    def __init__(self, backbone: nn.Module, scale: Scaled) -> None:
        super().__init__()
        self.backbone = backbone
        self.scale = scale
        self.feature_dim = feature_dim(backbone)

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings, shape (B, D), of normalized images of any size, shape (B, channels, height, width)."""
        parts = torch.split(images, max(1, _AT_ONCE // self.scale.size**2))
        return torch.cat([self.backbone(self.scale(part)) for part in parts])
