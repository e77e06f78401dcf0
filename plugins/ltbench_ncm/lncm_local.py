"""Learned nearest class mean with a learned metric of each class's own (Learned NCM paper, section A.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltbench_ncm.class_blocks import in_class_blocks, local_distance
from ltbench_ncm.ranked import LearnedMetric, RankedClassifier


class LocalMetricClassifier(RankedClassifier):
    """Score a class by minus half of |W_y (x - c_y)|; W has shape (C, r, d)."""

    def __init__(self, features: int, classes: int, rank: int) -> None:
        super().__init__(features, classes, rank)
        self.prototypes = nn.Parameter(torch.zeros(classes, features))
        self.metric = nn.Parameter(torch.eye(rank, features).expand(classes, -1, -1).contiguous())

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, shape (B, C), at most 0."""
        with torch.autocast(features.device.type, enabled=False):
            rank = self.metric.shape[1]
            return -0.5 * in_class_blocks(local_distance, features.float(), (self.prototypes, self.metric), rank)


class LocalMetricNCM(LearnedMetric):
    """Learn the centroids and a metric for each class; at their start all are the Euclidean one.

    The metrics hold C r d numbers: with many classes or wide features, choose a low rank.
    """

    name = "lncm_local"
    leaves = "LocalMetricClassifier"
    kind = LocalMetricClassifier
