"""Learned nearest class mean with a learned metric that all classes share (Learned NCM paper, eq. 3, section A.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import ltbench
from ltbench_ncm.ranked import LearnedMetric, RankedClassifier


class GlobalMetricClassifier(RankedClassifier):
    """Score a class by minus half of |W (x - c)|, a Mahalanobis distance; W has shape (r, d)."""

    def __init__(self, features: int, classes: int, rank: int) -> None:
        super().__init__(features, classes, rank)
        self.prototypes = nn.Parameter(torch.zeros(classes, features))
        self.metric = nn.Parameter(torch.eye(rank, features))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, shape (B, C), at most 0."""
        with torch.autocast(features.device.type, enabled=False):
            w = self.metric.T
            return -0.5 * ltbench.euclidean_distance(features.float() @ w, self.prototypes @ w)


class GlobalMetricNCM(LearnedMetric):
    """Learn the centroids and one metric together; at its start it is the Euclidean one."""

    name = "lncm_global"
    leaves = "GlobalMetricClassifier"
    kind = GlobalMetricClassifier
