"""The small networks that contrastive methods project embeddings with, and the head that has one beside the classifier."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench


class Projector(nn.Module):
    """Project embeddings (B, D) to vectors of length 1, shape (B, d), through hidden layers with ReLU.

    Batch norm looks at the rows it is given, in evaluation too: a projector is for training alone. Given rows that were gathered,
    it is the same on every process.

    Args:
        sizes: D, the widths of the hidden layers, d.
        batch_norm: Whether every hidden layer is normalized over the rows.
    """

    def __init__(self, *sizes: int, batch_norm: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            if i and batch_norm:
                layers.append(nn.BatchNorm1d(before, track_running_stats=False))
            layers += [nn.ReLU(), nn.Linear(before, after)] if i else [nn.Linear(before, after)]
        self.layers = nn.Sequential(*layers)

    def forward(self, embedding: Tensor) -> Tensor:
        """Return the projections, float32: half a digit of a cosine is much, once a temperature divides it."""
        with torch.autocast(embedding.device.type, enabled=False):
            return F.normalize(self.layers(embedding.float()), dim=1)


class ProjectingHead(ltbench.Head):
    """Classify an embedding; a network beside it projects what is contrasted.

    Args:
        classifier: Embedding (B, D) -> logits (B, C).
        projector: Embedding (B, D) -> length 1, shape (B, d).
    """

    def __init__(self, classifier: nn.Module, projector: nn.Module) -> None:
        super().__init__(classifier)
        self.projector = projector
