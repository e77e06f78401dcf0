"""Learned nearest class mean with a learned metric of each class's own (Learned NCM paper, section A.3)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

import ltbench
from ltbench_ncm.centroids import class_centroids
from ltbench_ncm.class_blocks import in_class_blocks, local_distance
from ltbench_ncm.learned import LearnedDistance
from ltbench_ncm.lncm_global import principal_axes


class LocalMetricClassifier(nn.Module):
    """Score a class by minus half of |W_y (x - c_y)|.

    Args:
        features: d.
        classes: C.
        rank: r, rows of each W_y.

    Attributes:
        prototypes: c, shape (C, d).
        metrics: W, shape (C, r, d); each the first rows of the identity.
    """

    def __init__(self, features: int, classes: int, rank: int) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.zeros(classes, features))
        self.metrics = nn.Parameter(torch.eye(rank, features).expand(classes, -1, -1).contiguous())

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, shape (B, C), at most 0."""
        with torch.autocast(features.device.type, enabled=False):
            rank = self.metrics.shape[1]
            return -0.5 * in_class_blocks(local_distance, features.float(), (self.prototypes, self.metrics), rank)


class LocalMetricNCM(LearnedDistance):
    """Learn the centroids and a metric for each class; at their start all are the Euclidean one.

    The metrics hold C r d numbers: with many classes or wide features, choose a low rank.

    Args:
        rank: r, rows of each metric's matrix, at most the width of the features; none for as many. Fewer start as the principal
            axes of the training features.
        tau: Weight of the logit adjustment in training (eq. 9); 0 for none.
        lr: Of centroids and metrics.
        clip_norm: Largest norm of the gradient on all of them together.
        inputs: ``features`` trains on cached embeddings of plain images; ``images`` on embeddings of augmented ones.
    """

    name = "lncm_local"

    def __init__(self, facts: ltbench.Facts, *, rank: int | None = None, tau: float = 0.0, lr: float = 5.0,
                 clip_norm: float = 0.1, inputs: Literal["features", "images"] = "features") -> None:
        super().__init__(facts, tau, lr, clip_norm, inputs)
        if rank is not None and rank < 1:
            raise ValueError(f"rank must be >= 1, got {rank}")
        self.rank = rank

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head with a metric for each class."""
        rank = min(self.rank or make.feature_dim, make.feature_dim)
        return make.head(LocalMetricClassifier(make.feature_dim, make.num_classes, rank))

    def fit(self, ctx: ltbench.Context) -> None:
        """Start from the empirical centroids, and metrics of low rank from the axes that features vary along most."""
        bank = ctx.features("train")
        classifier = ctx.engine.head.classifier
        if not isinstance(classifier, LocalMetricClassifier):
            raise TypeError(f"the classifier must be a LocalMetricClassifier, got {type(classifier).__name__}")
        with torch.no_grad():
            classifier.prototypes.copy_(class_centroids(bank.embedding, bank.labels, self.facts.num_classes))
            _, rank, width = classifier.metrics.shape
            if rank < width:
                classifier.metrics.copy_(principal_axes(bank.embedding, bank.labels, rank).expand_as(classifier.metrics))
