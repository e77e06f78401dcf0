"""The projection head beside the classifier (section 3.1, b and c)."""

from __future__ import annotations

import dataclasses

import torch.nn.functional as F
from torch import Tensor, nn

import ltbench


class ProjectingHead(ltbench.Head):
    """Classify the embedding, and say beside it where a small network projects it: ``Output.extra["projection"]``, (B, d).

    The classifier does not read the projection, so a later stage may keep one and discard the other.

    Args:
        classifier: Embedding (B, D) -> logits (B, C).
        feature_dim: D.
        projection_dim: d.
    """

    def __init__(self, classifier: nn.Module, feature_dim: int, projection_dim: int) -> None:
        super().__init__(classifier)
        self.projector = nn.Sequential(nn.Linear(feature_dim, feature_dim), nn.ReLU(), nn.Linear(feature_dim, projection_dim))

    def project(self, embedding: Tensor) -> Tensor:
        """Return z, of length 1, shape (B, d)."""
        return F.normalize(self.projector(embedding), dim=1)

    def forward(self, embedding: Tensor) -> ltbench.Output:
        """Return features, logits and the projection of an embedding, shape (B, D)."""
        output = super().forward(embedding)
        return dataclasses.replace(output, extra={"projection": self.project(embedding)})
