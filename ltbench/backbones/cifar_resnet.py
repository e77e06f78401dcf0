"""The CIFAR ResNets (He et al., 2016, section 4.2) with option-A shortcuts, which have no parameters.

A stem and three stages of (depth - 2) / 6 basic blocks on maps of 32, 16 and 8 pixels. The last stage stands apart from the
rest, the trunk, so that a method can give several experts or branches a last stage each, or their last two.
"""

from __future__ import annotations

import copy
import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltbench.backbones.request import BackboneRequest
from ltbench.backbones.split import SplitNetwork, check_stages
from ltbench.errors import UserError

_NAME = re.compile(r"resnet(\d+)(?:x(\d+)|(twin))?")
_BASE_WIDTH = 16


class BasicBlock(nn.Module):
    """Add two 3 x 3 convolutions to a shortcut that only subsamples and pads channels with zeros.

    Args:
        out_channels: Of the output, at least ``in_channels``.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        extra = out_channels - in_channels
        if extra < 0:
            raise UserError(f"out_channels must be >= in_channels ({in_channels}): the shortcut only adds, got {out_channels}")
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.stride = stride
        self.padding = (extra // 2, extra - extra // 2)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of shape (B, out_channels, ceil(h / stride), ceil(w / stride))."""
        residual = F.relu(self.norm1(self.conv1(maps)))
        residual = self.norm2(self.conv2(residual))
        return F.relu(residual + self.shortcut(maps))

    def shortcut(self, maps: Tensor) -> Tensor:
        """Return the maps subsampled and padded to the width of the output."""
        kept = maps[:, :, :: self.stride, :: self.stride] if self.stride > 1 else maps
        return F.pad(kept, (0, 0, 0, 0, *self.padding)) if any(self.padding) else kept


def initialize(module: nn.Module) -> None:
    """Draw every convolution's weights from Kaiming's normal distribution (fan-in, gain of ReLU), in place."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)


def make_stage(blocks: int, in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Build one stage, whose first block changes the width and the resolution."""
    first = BasicBlock(in_channels, out_channels, stride)
    return nn.Sequential(first, *(BasicBlock(out_channels, out_channels) for _ in range(blocks - 1)))


class CifarResNet(SplitNetwork):
    """Hold a stem with two stages, and a last stage.

    Args:
        depth: 6 n + 2 layers, counting the classifier that is not part of this module: n blocks a stage.
        width: Channels of the first stage; the second and the third have two and four times as many.

    Attributes:
        trunk: Stem and first two stages, (B, channels, H, W) to (B, 2 width, ceil(H / 2), ceil(W / 2)).
        last_stage: The third stage, to (B, 4 width, ceil(H / 4), ceil(W / 4)).
    """

    stage_count = 2

    def __init__(self, depth: int = 32, *, width: int = _BASE_WIDTH, channels: int = 3) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise UserError(f"depth must be 6 n + 2 with n >= 1, got {depth}")
        if width < 1:
            raise UserError(f"width must be >= 1, got {width}")
        self.blocks = (depth - 2) // 6
        self.width = width
        self.trunk = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            make_stage(self.blocks, width, width, stride=1),
            make_stage(self.blocks, width, 2 * width, stride=2),
        )
        initialize(self.trunk)
        self.last_stage = self.make_last_stage()
        self.feature_dim = 4 * width

    def make_last_stage(self, width: float = 1.0, stages: int = 1) -> nn.Sequential:
        """Build one more last stage, to maps with ``round(4 width)`` channels; the fraction must be 0.5, the trunk's, or more.

        Two stages are the second and the third, one after the other, as blocks of one sequence.
        """
        check_stages(self, stages, self.stage_count)
        channels = (self.width, *(round(factor * self.width * width) for factor in (2, 4)))
        if stages == 1:
            blocks = make_stage(self.blocks, 2 * self.width, channels[2], stride=2)
        else:
            blocks = nn.Sequential(*make_stage(self.blocks, channels[0], channels[1], stride=2),
                                   *make_stage(self.blocks, channels[1], channels[2], stride=2))
        initialize(blocks)
        return blocks


class Twin(nn.Module):
    """Join the channels of two modules that read the same maps."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of shape (B, the channels of both, h, w)."""
        return torch.cat([self.first(maps), self.second(maps)], dim=1)


class TwinResNet(CifarResNet):
    """Have the last block of the last stage twice, side by side on the same maps, so that features are twice as wide.

    The ResNet-32 of BBN's public code (Zhou et al., 2020), without its two branches of images; TDE's has the same graph.
    """

    def __init__(self, depth: int = 32, *, width: int = _BASE_WIDTH, channels: int = 3) -> None:
        super().__init__(depth, width=width, channels=channels)
        self.feature_dim = 2 * self.feature_dim

    def make_last_stage(self, width: float = 1.0, stages: int = 1) -> nn.Sequential:
        """Build one more last stage, to maps with twice ``round(4 width)`` channels."""
        *shared, last = super().make_last_stage(width, stages)
        other = copy.deepcopy(last)
        initialize(other)
        return nn.Sequential(*shared, Twin(last, other))


def build(request: BackboneRequest) -> CifarResNet:
    """Build ``resnet<depth>``, ``resnet<depth>x<factor>`` (more channels everywhere), or ``resnet<depth>twin`` (two last blocks).

    Raises:
        UserError: If the name is of another form or the images are smaller than 4 pixels.
    """
    match = _NAME.fullmatch(request.name)
    if not match:
        raise UserError(f"name must be resnet<depth>, resnet<depth>x<factor> or resnet<depth>twin, got {request.name!r}")
    if request.image_size < 4:
        raise UserError(f"image_size must be >= 4 for {request.name}, got {request.image_size}")
    kind = TwinResNet if match[3] else CifarResNet
    return kind(int(match[1]), width=_BASE_WIDTH * int(match[2] or 1), channels=request.channels)
