"""Learned nearest class mean (Learned NCM paper, section 4.2), and with logit adjustment (section 4.3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

import ltbench
from ltbench_ncm.cdnv import class_distance_normalized_variance
from ltbench_ncm.centroids import class_centroids, class_variance
from ltbench_ncm.learned import LearnedDistance


class LearnedNCM(LearnedDistance):
    """Learn the centroids, from the class means on; the nearest one wins.

    A mean of few features is far from the class's true one. The Euclidean distance, not squared, gives gradients whose length
    does not grow with it (eq. 6).

    Args:
        tau: Weight of the logit adjustment in training (eq. 9); 0 for none.
        lr: Of the centroids.
        clip_norm: Largest norm of the gradient on all centroids.
        inputs: ``features`` trains on cached embeddings of plain images; ``images`` on embeddings of augmented ones.
    """

    name = "lncm"
    start: Tensor
    variance: Tensor

    def __init__(self, facts: ltbench.Facts, *, tau: float = 0.0, lr: float = 5.0, clip_norm: float = 0.1,
                 inputs: Literal["features", "images"] = "features") -> None:
        super().__init__(facts, tau, lr, clip_norm, inputs)
        # What centroids are compared with while they move.
        self.register_buffer("start", torch.zeros(facts.num_classes, facts.feature_dim))
        self.register_buffer("variance", torch.zeros(facts.num_classes))

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head: logits are minus half the Euclidean distance."""
        return make.head(ltbench.DistanceClassifier(make.feature_dim, make.num_classes))

    def fit(self, ctx: ltbench.Context) -> None:
        """Start from the empirical centroids."""
        bank = ctx.features("train")
        self.start.copy_(class_centroids(bank.embedding, bank.labels, self.facts.num_classes))
        self.variance.copy_(class_variance(bank.embedding, bank.labels, self.start))
        with torch.no_grad():
            self._centroids(ctx).copy_(self.start)

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        """Return figure 6: the mean distance of centroids from where they started, and the CDNV with them for the means."""
        present = ctx.class_counts > 0
        now = self._centroids(ctx)[present]
        figures = {"displacement": float((now - self.start[present]).norm(dim=1).mean())}
        if len(now) > 1:
            cdnv = class_distance_normalized_variance(now, self.variance[present])
            if math.isfinite(cdnv):  # two classes in one point have none
                figures["cdnv"] = cdnv
        return figures

    @staticmethod
    def _centroids(ctx: ltbench.Context) -> Tensor:
        classifier = ctx.engine.head.classifier
        if not isinstance(classifier, ltbench.DistanceClassifier):
            raise TypeError(f"the classifier must be a DistanceClassifier, got {type(classifier).__name__}")
        return classifier.prototypes


class AdjustedLearnedNCM(LearnedNCM):
    """Learn the centroids with logit adjustment: training shifts logits by the class sizes, so small classes get more room.

    Args:
        tau: Weight of the logit adjustment in training (eq. 9).
        lr: Of the centroids.
        clip_norm: Largest norm of the gradient on all centroids.
        inputs: ``features`` trains on cached embeddings of plain images; ``images`` on embeddings of augmented ones.
    """

    name = "lncm_la"

    def __init__(self, facts: ltbench.Facts, *, tau: float = 0.125, lr: float = 5.0, clip_norm: float = 0.1,
                 inputs: Literal["features", "images"] = "features") -> None:
        super().__init__(facts, tau=tau, lr=lr, clip_norm=clip_norm, inputs=inputs)
