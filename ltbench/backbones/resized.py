"""Images at the size that a backbone's weights were trained for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltbench.backbones.request import feature_dim

_AT_ONCE = 64 * 224 * 224  # pixels: 64 usual images, however many of 32 x 32 came in one batch


class Scaled(nn.Module):
    """Scale images, shape (B, channels, height, width), to squares of one size."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Return normalized images of any size at the one size."""
        if images.shape[2:] == (self.size, self.size):
            return images
        # After normalization: what is linear in the pixels commutes with it. The filter is the one of images on disk.
        return F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)


class Resized(nn.Module):
    """Scale images on the device, then embed them.

    Args:
        backbone: Frozen and in evaluation mode: images are embedded a few at a time.
    """

    feature_dim: int

    def __init__(self, backbone: nn.Module, size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.scale = Scaled(size)
        self.feature_dim = feature_dim(backbone)

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings, shape (B, D), of normalized images of any size, shape (B, channels, height, width)."""
        parts = torch.split(images, max(1, _AT_ONCE // self.scale.size**2))
        return torch.cat([self.backbone(self.scale(part)) for part in parts])
