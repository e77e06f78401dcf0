"""The network of checks that compare one process with several: no image's features depend on the others of its batch."""

from __future__ import annotations

from torch import nn

from ltbench.backbones.digits import DigitsNet
from ltbench.backbones.request import BackboneRequest

NAME = "conformance_without_batch_norm"


class WithoutBatchNorm(DigitsNet):
    """The network for digits with group norm, which looks at one image at a time, in the place of batch norm."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__(channels)
        self.trunk = _grouped(self.trunk)

    def make_last_stage(self, width: float = 1.0, stages: int = 1) -> nn.Sequential:
        """Build one more last stage."""
        return _grouped(super().make_last_stage(width, stages))


def _grouped(stage: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(*(nn.GroupNorm(1, part.num_features) if isinstance(part, nn.BatchNorm2d) else part for part in stage))


def build(request: BackboneRequest) -> WithoutBatchNorm:
    """Build the network for the request's channels."""
    return WithoutBatchNorm(request.channels)
