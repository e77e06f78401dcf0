"""The CIFAR ResNet whose shortcuts are 3 x 3 convolutions where the width changes (Mettes et al., 2019, public code)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from ltbench.backbones.cifar_resnet import BasicBlock, CifarResNet
from ltbench.backbones.request import BackboneRequest
from ltbench.errors import UserError


class ConvolvedBlock(BasicBlock):
    """Add two 3 x 3 convolutions to a third one, with a norm of its own, in place of a shortcut without weights."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, stride)
        self.beside = nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
                                    nn.BatchNorm2d(out_channels))

    def shortcut(self, maps: Tensor) -> Tensor:
        """Return the convolved maps."""
        return cast(Tensor, self.beside(maps))


def initialize(module: nn.Module) -> None:
    """Draw every convolution's weights from Kaiming's normal distribution (fan-out, gain of ReLU), in place."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


class ConvShortcutResNet(CifarResNet):
    """Hold the CIFAR ResNet of 16, 32 and 64 channels with convolutions as shortcuts of its two blocks that widen.

    Args:
        depth: 6 n + 2 layers.
    """

    def __init__(self, depth: int = 32, *, channels: int = 3) -> None:
        super().__init__(depth, channels=channels)
        second = cast(nn.Sequential, self.trunk[-1])
        second[0] = ConvolvedBlock(self.width, 2 * self.width, stride=2)
        initialize(self.trunk)

    def make_last_stage(self, width: float = 1.0, stages: int = 1) -> nn.Sequential:
        """Build one more last stage, to maps with ``round(64 width)`` channels, or the last two."""
        built = super().make_last_stage(width, stages)
        for place, block in enumerate(built):
            if isinstance(block, BasicBlock) and block.stride > 1:
                built[place] = ConvolvedBlock(block.conv1.in_channels, block.conv1.out_channels, block.stride)
        initialize(built)
        return built


def build(request: BackboneRequest) -> ConvShortcutResNet:
    """Build ``resnet32conv``.

    Raises:
        UserError: If the images are smaller than 4 pixels.
    """
    if request.image_size < 4:
        raise UserError(f"image_size must be >= 4 for {request.name}, got {request.image_size}")
    return ConvShortcutResNet(32, channels=request.channels)
