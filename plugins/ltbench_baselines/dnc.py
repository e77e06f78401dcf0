"""Deep nearest centroids, DNC (Wang et al., 2023)."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench

Count = Annotated[int, ltbench.Interval(ge=1), ltbench.Choice(1, 2, 4, 8)]
Size = Annotated[int, ltbench.Interval(ge=0)]
_ITERATIONS = 3
_SHARPNESS = 0.05


def shared_out(scores: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return a sub-centroid for every feature so that those of a class have about as many each, int64, shape (N,).

    Sinkhorn's iterations of the entropic transport between a class's features and its sub-centroids, all classes at once.

    Args:
        scores: Cosines of each feature with the sub-centroids of its class, shape (N, K).
        labels: Shape (N,).
        classes: C.
    """
    plan = ((scores - 1) / _SHARPNESS).exp()
    for _ in range(_ITERATIONS):
        totals = plan.new_zeros(classes, plan.shape[1]).index_add_(0, labels, plan)  # (C, K)
        plan = plan / totals[labels].clamp_min(torch.finfo(plan.dtype).tiny)
        plan = plan / plan.sum(dim=1, keepdim=True)
    return plan.argmax(dim=1)


class UnitNorm(nn.LayerNorm):
    """Normalize over the channels, then to length 1."""

    def forward(self, embedding: Tensor) -> Tensor:
        """Return features of length 1, float32, shape (B, D)."""
        with torch.autocast(embedding.device.type, enabled=False):
            return F.normalize(super().forward(embedding.float()), dim=1)


class SubCentroids(nn.Module):
    """Score a class by the cosine with the nearest of its sub-centroids; scores are normalized over the classes.

    Args:
        features: d.
        classes: C.
        count: K, of each class.

    Attributes:
        centroids: Of length 1, no gradient moves them, shape (C, K, d).
    """

    centroids: Tensor

    def __init__(self, features: int, classes: int, count: int) -> None:
        super().__init__()
        self.register_buffer("centroids", F.normalize(torch.randn(classes, count, features), dim=2))
        self.norm = nn.LayerNorm(classes)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits of features of length 1, shape (B, C)."""
        with torch.autocast(features.device.type, enabled=False):
            cosines = features.float() @ self.centroids.flatten(0, 1).T
            logits: Tensor = self.norm(cosines.view(len(features), *self.centroids.shape[:2]).amax(dim=2))
            return logits


class DeepNearestCentroids(ltbench.Method):
    """Classify by the nearest sub-centroid, and let features alone learn: centroids are momentum means of clusters.

    Args:
        centroids: K, of each class.
        momentum: Of the centroids, in each step.
        memory: Features of earlier batches among which a class's sub-centroids are shared out.
    """

    name = "dnc"
    stages = frozenset({1})
    leaves = "SubCentroids"
    memory: Tensor
    members: Tensor

    def __init__(self, facts: ltbench.Facts, *, centroids: Count = 4,
                 momentum: Annotated[float, ltbench.Interval(ge=0, lt=1), ltbench.Choice(0.9, 0.99, 0.999)] = 0.999,
                 memory: Size = 4096) -> None:
        super().__init__(facts)
        self.count = centroids
        self.momentum = momentum
        self.register_buffer("memory", torch.zeros(memory, facts.feature_dim))
        self.register_buffer("members", torch.full((memory,), -1))

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return the sub-centroids."""
        return SubCentroids(feature_dim, num_classes, self.count)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the sub-centroids behind a normalization."""
        if make.feature_dim != self.memory.shape[1]:
            raise ltbench.UserError(f"'dnc' must have a backbone of width {self.memory.shape[1]}, got {make.feature_dim}")
        return make.head(make.classifier(), UnitNorm(make.feature_dim))

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Move every sub-centroid to the mean direction of what it was given and the model classifies rightly."""
        classifier = ctx.classifier(SubCentroids)
        right = classifier(seen.features).argmax(dim=1) == seen.labels
        features = torch.cat([seen.features.to(self.memory.dtype), self.memory])
        labels = torch.cat([seen.labels, self.members])
        self.memory.copy_(features[:len(self.memory)])
        self.members.copy_(labels[:len(self.members)])
        spare = self.facts.num_classes  # where empty places of the memory are counted
        given = shared_out(self.scores(classifier.centroids, features, labels), torch.where(labels < 0, spare, labels), spare + 1)
        classifier.centroids.copy_(self.moved(classifier.centroids, seen.features, seen.labels, given[:len(right)], right))

    def scores(self, centroids: Tensor, features: Tensor, labels: Tensor) -> Tensor:
        """Return cosines of features with the sub-centroids of their classes, shape (N, K); one sub-centroid after the other."""
        own = labels.clamp_min(0)
        return torch.stack([(features * centroids[own, k]).sum(dim=1) for k in range(self.count)], dim=1)

    def moved(self, centroids: Tensor, features: Tensor, labels: Tensor, given: Tensor, right: Tensor) -> Tensor:
        """Return the sub-centroids after a batch, shape (C, K, d); those without features stay.

        Args:
            centroids: Before.
            features: Shape (G, d).
            labels: Shape (G,).
            given: The sub-centroid of each feature, shape (G,).
            right: Whether a feature counts, shape (G,).
        """
        flat, places = centroids.flatten(0, 1), labels * self.count + given
        sums = torch.zeros_like(flat).index_add_(0, places, features.to(flat.dtype) * right[:, None])
        counts = torch.zeros_like(flat[:, :1]).index_add_(0, places, right[:, None].to(flat.dtype))
        slow = F.normalize(self.momentum * flat + (1 - self.momentum) * F.normalize(sums, dim=1), dim=1)
        return torch.where(counts > 0, slow, flat).view_as(centroids)
