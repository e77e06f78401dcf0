"""Nearest class mean (Mensink et al., 2013), with the probability of Sharma et al. (2023, eq. 1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

import ltbench


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

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of the row "NCM" in Sharma et al. (2023, tables 1 and 4)."""
        if task.dataset != "cifar100-lt":
            return None
        return ltbench.PaperSetting(protocol={"eval_flip": True}, stage1="wd")

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head: logits are minus half the distance; frozen, should the stage train anything else."""
        return make.head(ltbench.DistanceClassifier(make.feature_dim, make.num_classes, self.distance).requires_grad_(False))

    def fit(self, ctx: ltbench.Context) -> None:
        """Take the class means."""
        bank = ctx.features("train")
        means = ltbench.class_means(bank.embedding, bank.labels, self.facts.num_classes)
        # The mean of no images would be the origin, where a cosine has no meaning: such a class stands in the middle.
        present = torch.bincount(bank.labels, minlength=len(means)) > 0
        means[~present] = means[present].mean(dim=0)
        classifier = ctx.engine.head.classifier
        if not isinstance(classifier, ltbench.DistanceClassifier):
            raise TypeError(f"the classifier must be a DistanceClassifier, got {type(classifier).__name__}")
        with torch.no_grad():
            classifier.prototypes.copy_(means)
