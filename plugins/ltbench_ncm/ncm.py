"""Nearest class mean (Mensink et al., 2013), with the probability of the Learned NCM paper (eqs. 2 and 3)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

import ltbench
from ltbench_ncm.setting import setting


class NearestClassMean(ltbench.Method):
    """Give an image to the class whose mean training feature is nearest; nothing is trained.

    Args:
        distance: ``euclidean`` or ``cosine``.
    """

    name = "ncm"
    stages = frozenset({2})
    trains = False

    def __init__(self, facts: ltbench.Facts, *, distance: Literal["euclidean", "cosine"] = "euclidean") -> None:
        super().__init__(facts)
        self.distance = distance
        self.leaves = "centroids" if distance == "euclidean" else "DistanceClassifier"

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of the row "NCM" in the Learned NCM paper."""
        return setting(task)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head: logits are minus half the distance; frozen, should the stage train anything else."""
        return make.head(ltbench.DistanceClassifier(make.feature_dim, make.num_classes, self.distance).requires_grad_(False))

    def fit(self, ctx: ltbench.Context) -> None:
        """Take the class means."""
        bank = ctx.features("train")
        centroids = ltbench.class_centroids(bank.embedding, bank.labels, self.facts.num_classes)
        with torch.no_grad():
            ctx.classifier(ltbench.DistanceClassifier).prototypes.copy_(centroids)
