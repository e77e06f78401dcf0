"""A network for 8 x 8 digits: small enough that a whole board of methods takes minutes on a laptop."""

from __future__ import annotations

import itertools

from torch import nn

from ltbench.backbones.cifar_resnet import initialize
from ltbench.backbones.request import BackboneRequest
from ltbench.backbones.split import SplitNetwork, check_stages

_WIDTHS = (16, 24, 64)


def _layer(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    ]


class DigitsNet(SplitNetwork):
    """Map small images to the pooled output of three convolutions.

    The last layer sees 9 x 9 pixels, the whole digit. Halving the resolution there too, rather than pooling 4 x 4 positions,
    learns faster: 94 to 95 % against 79 to 88 % after three epochs (four seeds, balanced digits).

    Attributes:
        trunk: Two convolutions, (B, channels, H, W) to (B, 24, ceil(H / 2), ceil(W / 2)).
        last_stage: One more, to (B, 64, ceil(H / 4), ceil(W / 4)).
    """

    stage_count = 2  # a stage is a convolution that halves the resolution
    stage_parts = 3

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        first, second, self.feature_dim = _WIDTHS
        self.trunk = nn.Sequential(*_layer(channels, first, 1), *_layer(first, second, 2))
        initialize(self.trunk)
        self.last_stage = self.make_last_stage()

    def make_last_stage(self, width: float = 1.0, stages: int = 1) -> nn.Sequential:
        """Build one more last stage, see :meth:`SplitNetwork.make_last_stage`."""
        check_stages(self, stages, self.stage_count)
        channels = [_WIDTHS[2 - stages], *(max(1, round(own * width)) for own in _WIDTHS[3 - stages:])]
        stage = nn.Sequential(*(part for before, after in itertools.pairwise(channels) for part in _layer(before, after, 2)))
        initialize(stage)
        return stage


def build(request: BackboneRequest) -> DigitsNet:
    """Build the network for the request's channels; any image size will do."""
    return DigitsNet(request.channels)
