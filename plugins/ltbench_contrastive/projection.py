"""The small networks that contrastive methods project embeddings with."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Projector(nn.Sequential):
    """Project embeddings (B, D) to vectors of length 1, shape (B, d), through hidden layers with ReLU.

    Args:
        sizes: D, the widths of the hidden layers, d.
        batch_norm: Whether every hidden layer is normalized over the batch.
    """

    def __init__(self, *sizes: int, batch_norm: bool = False) -> None:
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            if i:
                layers += [nn.BatchNorm1d(before), nn.ReLU()] if batch_norm else [nn.ReLU()]
            layers.append(nn.Linear(before, after))
        super().__init__(*layers)

    def forward(self, embedding: Tensor) -> Tensor:
        """Return the projections in single precision."""
        return F.normalize(super().forward(embedding).float(), dim=1)
