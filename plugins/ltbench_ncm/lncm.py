"""Learned nearest class mean (Learned NCM paper, section 4.2); with logit adjustment, section 4.3."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

import ltbench
from ltbench_ncm.centroids import class_variance
from ltbench_ncm.learned import LearnedDistance


class LearnedNCM(LearnedDistance):
    """Learn the centroids, from the class means on; the nearest one wins.

    A mean of few features is far from the class's true one. The Euclidean distance, not squared, gives gradients whose length
    does not grow with it (eq. 6).
    """

    name = "lncm"
    leaves = "centroids"
    start: Tensor
    variance: Tensor

    def setup(self, ctx: ltbench.Context) -> None:
        """Make room for what centroids are compared with while they move."""
        prototypes = ctx.classifier(ltbench.DistanceClassifier).prototypes
        self.register_buffer("start", torch.zeros_like(prototypes))
        self.register_buffer("variance", torch.zeros_like(prototypes[:, 0]))

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head: logits are minus half the Euclidean distance."""
        return make.head(ltbench.DistanceClassifier(make.feature_dim, make.num_classes))

    def fit(self, ctx: ltbench.Context) -> None:
        """Start from the empirical centroids."""
        bank = ctx.features("train")
        self.start.copy_(ltbench.class_centroids(bank.embedding, bank.labels, self.facts.num_classes))
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
