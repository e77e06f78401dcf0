"""Networks that can be split before their last stage, so that experts and branches can have a last stage each."""

from __future__ import annotations

from torch import Tensor, nn


class SplitNetwork(nn.Module):
    """Map images to the pooled output of the last stage: ``pool(last_stage(trunk(images)))``.

    Attributes:
        trunk: All before the last stage.
        last_stage: Output of the trunk -> maps (B, D, h, w).
        feature_dim: D.
    """

    trunk: nn.Sequential
    last_stage: nn.Sequential
    feature_dim: int

    def make_last_stage(self, width: float = 1.0) -> nn.Sequential:
        """Build one more last stage, with fresh weights, for an expert or a branch.

        Args:
            width: As a fraction of the ordinary width.
        """
        raise NotImplementedError

    @staticmethod
    def pool(maps: Tensor) -> Tensor:
        """Average maps (B, D, h, w) over space, shape (B, D)."""
        return maps.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings, shape (B, D)."""
        return self.pool(self.last_stage(self.trunk(images)))
