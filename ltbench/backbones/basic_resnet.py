"""ResNets of basic blocks with 512 features (He et al., 2016): ResNet-10 for large images, ResNet-18 and -34 for small ones.

ResNet-10, one block a stage, is the network of ImageNet-LT's first papers; timm's ``resnet10t`` has another stem. The forms for
small images have a stem of one 3 x 3 convolution without stride or pooling, as public codes give ResNet-18 and -34 on CIFAR.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ltbench.backbones.request import BackboneRequest
from ltbench.backbones.split import SplitNetwork, check_stages
from ltbench.errors import UserError

_WIDTHS = (64, 128, 256, 512)
_FORMS = {"resnet10": ((1, 1, 1, 1), True), "resnet18cifar": ((2, 2, 2, 2), False), "resnet34cifar": ((3, 4, 6, 3), False)}


class ProjectedBlock(nn.Module):
    """Add two 3 x 3 convolutions to a shortcut, which is a 1 x 1 convolution where the shape changes.

    Args:
        stride: Of the first convolution and of the shortcut.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Sequential()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
                                          nn.BatchNorm2d(out_channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of shape (B, out_channels, ceil(h / stride), ceil(w / stride))."""
        residual = F.relu(self.norm1(self.conv1(maps)))
        return F.relu(self.norm2(self.conv2(residual)) + self.shortcut(maps))


def make_stage(blocks: int, in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Build one stage, whose first block changes the width and the resolution; weights by Kaiming's normal rule, fan-out."""
    first = ProjectedBlock(in_channels, out_channels, stride)
    return _initialized(nn.Sequential(first, *(ProjectedBlock(out_channels, out_channels) for _ in range(blocks - 1))))


def _initialized(module: nn.Sequential) -> nn.Sequential:
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
    return module


class BasicResNet(SplitNetwork):
    """Hold a stem with three stages, to maps with 256 channels, and a last stage, to maps with 512.

    Args:
        large: Whether the stem shrinks images by four, with a 7 x 7 convolution and pooling.
    """

    stage_count = 3

    def __init__(self, blocks: Sequence[int], *, large: bool, channels: int = 3) -> None:
        super().__init__()
        self.blocks = tuple(blocks)
        first = _WIDTHS[0]
        convolution = (nn.Conv2d(channels, first, 7, stride=2, padding=3, bias=False) if large else
                       nn.Conv2d(channels, first, 3, padding=1, bias=False))
        pooling = [nn.MaxPool2d(3, stride=2, padding=1)] if large else []
        stem = _initialized(nn.Sequential(convolution))
        self.trunk = nn.Sequential(
            *stem, nn.BatchNorm2d(first), nn.ReLU(), *pooling,
            make_stage(self.blocks[0], first, _WIDTHS[0], stride=1),
            make_stage(self.blocks[1], _WIDTHS[0], _WIDTHS[1], stride=2),
            make_stage(self.blocks[2], _WIDTHS[1], _WIDTHS[2], stride=2),
        )
        self.last_stage = self.make_last_stage()
        self.feature_dim = _WIDTHS[3]

    def make_last_stage(self, width: float = 1.0, stages: int = 1) -> nn.Sequential:
        """Build one more last stage, see :meth:`SplitNetwork.make_last_stage`."""
        check_stages(self, stages, self.stage_count)
        channels = [_WIDTHS[3 - stages], *(max(1, round(own * width)) for own in _WIDTHS[4 - stages:])]
        sizes = zip(self.blocks[4 - stages:], channels[:-1], channels[1:], strict=True)
        return nn.Sequential(*(block for blocks, before, after in sizes for block in make_stage(blocks, before, after, stride=2)))


def build(request: BackboneRequest) -> BasicResNet:
    """Build ``resnet10``, ``resnet18cifar`` or ``resnet34cifar``."""
    if request.name not in _FORMS:
        raise UserError(f"name must be one of {', '.join(_FORMS)}, got {request.name!r}")
    blocks, large = _FORMS[request.name]
    return BasicResNet(blocks, large=large, channels=request.channels)
