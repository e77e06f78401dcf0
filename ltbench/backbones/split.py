"""Networks that can be split before their last stages, so that experts and branches can have last stages of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from ltbench.errors import UserError


def check_stages(network: nn.Module, stages: int, largest: int) -> None:
    """Refuse to cut off more stages than a network has.

    Raises:
        UserError: If it is so.
    """
    if not 1 <= stages <= largest:
        raise UserError(f"stages of a {type(network).__name__} must be in [1, {largest}], got {stages}")


class SplitNetwork(nn.Module, ABC):
    """Map images to the pooled output of the last stage: ``pool(last_stage(trunk(images)))``.

    Attributes:
        trunk: All before the last stage.
        last_stage: Output of the trunk -> maps (B, D, h, w).
        feature_dim: D.
        stage_count: How many last stages can be cut off.
        stage_parts: Modules of the trunk that make one stage.
    """

    trunk: nn.Sequential
    last_stage: nn.Sequential
    feature_dim: int
    stage_count: ClassVar[int] = 1
    stage_parts: ClassVar[int] = 1

    def trunk_of(self, stages: int = 1) -> nn.Sequential:
        """Return all before the last stages; shares its parameters with the trunk.

        Args:
            stages: How many are cut off, at least 1.
        """
        check_stages(self, stages, self.stage_count)
        return self.trunk[:len(self.trunk) - (stages - 1) * self.stage_parts]

    @abstractmethod
    def make_last_stage(self, width: float = 1.0, stages: int = 1) -> nn.Sequential:
        """Build the last stage, or more of them, once more, with fresh weights, for an expert or a branch.

        Args:
            width: Of every stage, as a fraction of the ordinary width.
            stages: How many, as for :meth:`trunk_of`.
        """

    @staticmethod
    def pool(maps: Tensor) -> Tensor:
        """Average maps (B, D, h, w) over space, shape (B, D)."""
        return maps.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings, shape (B, D)."""
        return self.pool(self.last_stage(self.trunk(images)))
