"""What the classifiers with learned metrics share: a rank, a head, and where they start (Learned NCM paper, section A.3)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

import ltbench
from ltbench_ncm.learned import Inputs, LearnedDistance, Tau


class RankedClassifier(nn.Module):
    """Score a class by a distance to its centroid under a metric W of rank r.

    Args:
        features: d.
        classes: C.
        rank: r.

    Attributes:
        prototypes: c, shape (C, d).
        metric: W, shape (r, d) or, one for each class, (C, r, d); the first rows of the identity.
    """

    prototypes: Tensor
    metric: Tensor

    def __init__(self, features: int, classes: int, rank: int) -> None:
        super().__init__()


class RankedDistance(LearnedDistance):
    """Learn a distance under a metric that may have a low rank.

    Args:
        rank: r, rows of a metric's matrix, at most the width of the features; none for as many. Fewer start as the principal
            axes of the training features.
    """

    kind: ClassVar[type[RankedClassifier]]

    def __init__(self, facts: ltbench.Facts, *, rank: Annotated[int, ltbench.Interval(ge=1)] | None = None,
                 tau: Tau = 0.0, lr: ltbench.Positive = 5.0, clip_norm: ltbench.Positive = 0.1,
                 inputs: Inputs = "features") -> None:
        super().__init__(facts, tau=tau, lr=lr, clip_norm=clip_norm, inputs=inputs)
        self.rank = rank

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head with a classifier of the method's kind."""
        rank = min(self.rank or make.feature_dim, make.feature_dim)
        return make.head(self.kind(make.feature_dim, make.num_classes, rank))

    def fit(self, ctx: ltbench.Context) -> None:
        """Start from the empirical centroids, and a metric of low rank from the axes that features vary along most."""
        bank, classifier = ctx.features("train"), ctx.classifier(self.kind)
        with torch.no_grad():
            classifier.prototypes.copy_(ltbench.class_centroids(bank.embedding, bank.labels, self.facts.num_classes))
            self.orient(classifier, bank)

    def orient(self, classifier: RankedClassifier, bank: ltbench.Bank) -> None:
        """Set a metric of low rank; one of full rank is the Euclidean one already."""
        rank, width = classifier.metric.shape[-2:]
        if rank < width:
            classifier.metric.copy_(principal_axes(bank.embedding, bank.labels, rank))


class LearnedMetric(RankedDistance):
    """Learn a metric, with the centroids or around fixed ones.

    Args:
        centroids: ``learned`` along (section A.3), or ``fixed`` at the class means (eq. 3, as Mensink et al. have it).
    """

    def __init__(self, facts: ltbench.Facts, *, rank: Annotated[int, ltbench.Interval(ge=1)] | None = None,
                 tau: Tau = 0.0, lr: ltbench.Positive = 5.0, clip_norm: ltbench.Positive = 0.1,
                 inputs: Inputs = "features", centroids: Literal["learned", "fixed"] = "learned") -> None:
        super().__init__(facts, rank=rank, tau=tau, lr=lr, clip_norm=clip_norm, inputs=inputs)
        self.centroids = centroids

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head; fixed centroids get no gradient."""
        head = super().build_head(make)
        if self.centroids == "fixed":
            for name, parameter in head.named_parameters():
                parameter.requires_grad_(not name.endswith("prototypes"))
        return head


def principal_axes(features: Tensor, labels: Tensor, count: int) -> Tensor:
    """Return the directions of largest variance, the largest first, shape (count, D), on the device of the labels.

    Args:
        features: Shape (N, D).
        labels: Shape (N,); the axes do not depend on them.
        count: At most D.
    """
    mean = ltbench.class_means(features, torch.zeros_like(labels), 1)
    scatter = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64, device=labels.device)
    for rows, _ in ltbench.row_blocks(features, labels):
        centered = rows - mean
        scatter += centered.T @ centered
    _, vectors = torch.linalg.eigh(scatter)
    axes: Tensor = vectors.T.flip(0)[:count].to(features.dtype)
    return axes
