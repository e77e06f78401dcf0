"""Learned nearest class mean with a learned metric that all classes share (Learned NCM paper, eq. 3, section A.3)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

import ltbench
from ltbench_ncm.centroids import class_centroids
from ltbench_ncm.learned import LearnedDistance


class GlobalMetricClassifier(nn.Module):
    """Score a class by minus half of |W (x - c)|: a Mahalanobis distance.

    Args:
        features: d.
        classes: C.
        rank: r, rows of W.

    Attributes:
        prototypes: c, shape (C, d).
        metric: W, shape (r, d); the first rows of the identity.
    """

    def __init__(self, features: int, classes: int, rank: int) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.zeros(classes, features))
        self.metric = nn.Parameter(torch.eye(rank, features))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, shape (B, C), at most 0."""
        with torch.autocast(features.device.type, enabled=False):
            w = self.metric.T
            return -0.5 * ltbench.euclidean_distance(features.float() @ w, self.prototypes @ w)


class GlobalMetricNCM(LearnedDistance):
    """Learn the centroids and one metric together; at its start it is the Euclidean one.

    Args:
        rank: Rows of the metric's matrix, at most the width of the features; none for as many. Fewer start as the principal
            axes of the training features.
        tau: Weight of the logit adjustment in training (eq. 9); 0 for none.
        lr: Of centroids and metric.
        clip_norm: Largest norm of the gradient on both together.
        inputs: ``features`` trains on cached embeddings of plain images; ``images`` on embeddings of augmented ones.
    """

    name = "lncm_global"

    def __init__(self, facts: ltbench.Facts, *, rank: int | None = None, tau: float = 0.0, lr: float = 5.0,
                 clip_norm: float = 0.1, inputs: Literal["features", "images"] = "features") -> None:
        super().__init__(facts, tau, lr, clip_norm, inputs)
        if rank is not None and rank < 1:
            raise ValueError(f"rank must be >= 1, got {rank}")
        self.rank = rank

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head with eq. 3's classifier."""
        rank = min(self.rank or make.feature_dim, make.feature_dim)
        return make.head(GlobalMetricClassifier(make.feature_dim, make.num_classes, rank))

    def fit(self, ctx: ltbench.Context) -> None:
        """Start from the empirical centroids, and a metric of low rank from the axes that features vary along most."""
        bank = ctx.features("train")
        classifier = ctx.engine.head.classifier
        if not isinstance(classifier, GlobalMetricClassifier):
            raise TypeError(f"the classifier must be a GlobalMetricClassifier, got {type(classifier).__name__}")
        with torch.no_grad():
            classifier.prototypes.copy_(class_centroids(bank.embedding, bank.labels, self.facts.num_classes))
            rank, width = classifier.metric.shape
            if rank < width:
                classifier.metric.copy_(principal_axes(bank.embedding, bank.labels, rank))


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
