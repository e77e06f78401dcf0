"""LIFT: lightweight fine-tuning (Shi et al., 2024, section 4)."""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_adaptation.adaptformer import add_bottlenecks
from ltbench_adaptation.blocks import adapt
from ltbench_adaptation.text_features import read_text_features


class Lift(ltbench.Method):
    """Train narrow bottlenecks and a cosine classifier that starts where the classes are, by logit-adjusted cross-entropy.

    Tuning all of a foundation model draws the features of rare classes away from where their test images are; few parameters
    leave them there. The loss is any other method's of the stack, if one has its own: ``lift+focal``.

    Args:
        text_file: Text features of the classes' names, below the working folder, from which the classifier starts; without one it
            starts from the classes' mean features.
        text_sha256: Sixteen or more digits of its hash.
        hidden: Width of the bottlenecks; none for the power of two at most C / (2 blocks), by which they have no more parameters
            than the classifier.
        scale: By which cosines become logits.
        tau: Of the logit adjustment.
    """

    name = "lift"
    stages = frozenset({1})
    leaves = "cosine"
    yields = frozenset({"criterion"})
    shift: Tensor

    def __init__(self, facts: ltbench.Facts, *, text_file: str = "", text_sha256: str = "",
                 hidden: Annotated[int, ltbench.Interval(ge=1)] | None = None, scale: ltbench.Positive = 25.0,
                 tau: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 3.0)] = 1.0) -> None:
        super().__init__(facts)
        self.text_file = text_file
        self.text_sha256 = text_sha256
        self.hidden = hidden
        self.scale = scale
        self.register_buffer("shift", (tau * facts.log_prior).float())  # (C,)

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        """Return the backbone, frozen but for bottlenecks with a norm and a scale of their own."""
        blocks = len(make.transformer().blocks)  # type: ignore[arg-type]  # what makes it a transformer
        hidden = self.hidden or 2 ** max(0, int(math.log2(self.facts.num_classes / (2 * blocks))))
        return adapt(make, self.name, lambda transformer: add_bottlenecks(transformer, hidden, norm="own", scale=1.0,
                                                                          learn_scale=True))

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return the cosine classifier, turned to the classes' text features where there are some."""
        classifier = ltbench.CosineClassifier(feature_dim, num_classes, self.scale)
        if self.text_file or self.text_sha256:
            self._turn(classifier, read_text_features(self.text_file, self.text_sha256, self.facts.class_names, feature_dim))
        return classifier

    def fit(self, ctx: ltbench.Context) -> None:
        """Turn the classifier to the classes' mean features, where nothing is known of their names."""
        classifier = ctx.engine.head.classifier
        if self.text_file or not isinstance(classifier, ltbench.CosineClassifier):  # or another method made it
            return
        bank = ctx.features("train")
        self._turn(classifier, ltbench.class_centroids(bank.embedding, bank.labels, self.facts.num_classes, pointing=True))

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy of logits shifted by the log class prior, shape (B,)."""
        return F.cross_entropy(logits + self.shift, labels, reduction="none")

    @torch.no_grad()
    def _turn(self, classifier: ltbench.CosineClassifier, directions: Tensor) -> None:
        classifier.weight.copy_(F.normalize(directions, dim=1))
