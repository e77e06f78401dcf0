"""Learned nearest class mean (Learned NCM paper, section 4.2); with logit adjustment, section 4.3."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

import ltbench
from ltbench_ncm.centroids import class_variance
from ltbench_ncm.learned import Inputs, LearnedDistance, Tau


class LearnedNCM(LearnedDistance):
    """Learn the centroids, from the class means on; the nearest one wins.

    A mean of few features is far from the class's true one. The Euclidean distance, not squared, gives gradients whose length
    does not grow with it (eq. 6).

    Args:
        distance: ``euclidean``; ``cosine``, the other one of section 4.2; or ``squared``.
        distance_scale: By what the distance is multiplied; cosines have no scale of their own.
    """

    name = "lncm"
    start: Tensor
    variance: Tensor

    def __init__(self, facts: ltbench.Facts, *, tau: Tau = 0.0, lr: ltbench.Positive = 5.0, clip_norm: ltbench.Positive = 0.1,
                 inputs: Inputs = "features", distance: Literal["euclidean", "cosine", "squared"] = "euclidean",
                 distance_scale: ltbench.Positive = 1.0) -> None:
        super().__init__(facts, tau=tau, lr=lr, clip_norm=clip_norm, inputs=inputs)
        self.distance = distance
        self.distance_scale = distance_scale
        self.leaves = "centroids" if distance == "euclidean" and distance_scale == 1 else "DistanceClassifier"

    def setup(self, ctx: ltbench.Context) -> None:
        """Make room for what centroids are compared with while they move."""
        prototypes = ctx.classifier(ltbench.DistanceClassifier).prototypes
        self.register_buffer("start", torch.zeros_like(prototypes))
        self.register_buffer("variance", torch.zeros_like(prototypes[:, 0]))

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head: logits are minus half the distance."""
        return make.head(ltbench.DistanceClassifier(make.feature_dim, make.num_classes, self.distance, scale=self.distance_scale))

    def fit(self, ctx: ltbench.Context) -> None:
        """Start from the empirical centroids."""
        bank = ctx.features("train")
        self.start.copy_(ltbench.class_centroids(bank.embedding, bank.labels, self.facts.num_classes,
                                                 pointing=self.distance == "cosine"))
        self.variance.copy_(class_variance(bank.embedding, bank.labels, self.start))
        with torch.no_grad():
            ctx.classifier(ltbench.DistanceClassifier).prototypes.copy_(self.start)

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        """Return figure 6: the mean distance of centroids from where they started, and the CDNV with them for the means."""
        present = ctx.class_counts > 0
        now = ctx.classifier(ltbench.DistanceClassifier).prototypes[present]
        figures = {"displacement": float((now - self.start[present]).norm(dim=1).mean())}
        if len(now) > 1:
            cdnv = ltbench.class_distance_normalized_variance(now, self.variance[present])
            if math.isfinite(cdnv):  # two classes in one point have none
                figures["cdnv"] = cdnv
        return figures
