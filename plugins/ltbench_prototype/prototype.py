"""Prototype classifier (Sharma et al., 2023, eqs. 1 to 5 and algorithm 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_prototype.separation import separation
from ltbench_prototype.setting import setting

Distance = Literal["euclidean", "squared", "cosine"]
Inputs = Literal["features", "images"]
View = Literal["plain", "augmented"]


class PrototypeClassifier(ltbench.Method):
    """Learn one prototype a class on the frozen backbone, from the class's centroid on; the nearest prototype wins.

    A distance leaves a class no way to win by a longer weight vector, which is what large classes do to a softmax.

    Args:
        distance: ``euclidean`` (eq. 2), whose gradients have equal length whatever the distance; ``squared``; ``cosine``.
        distance_scale: By what the distance is multiplied. 1 is the letter of eq. 1, under which cosines give logits between -1
            and 0; Euclidean distances have the scale of the features.
        learn_scale: Whether the scale is learned too, from there on, at the rate of the temperatures and without decay.
        cdt: Whether channel temperatures are learned (eq. 4).
        tau: Weight of the logit adjustment in training (eq. 5); 0 for none.
        lr: Of the prototypes.
        temperature_lr: Of the channel temperatures.
        temperature_weight_decay: Of the channel temperatures; it draws them to 1.
        inputs: ``features`` trains on cached embeddings of plain images; ``images`` on embeddings of augmented ones.
        centroid_view: Whether the centroids to start from are those of ``plain`` or of ``augmented`` images.
        draws: Samples drawn in all, in place of the protocol's; None for the protocol's.
        batch_norm_drift: Whether the backbone's batch-norm statistics follow the class-balanced images, as in the public code;
            needs images, and takes them. Centroids are taken before.
        mirror: Whether probabilities are averaged over a test image and its mirror image; None for what the protocol says.
    """

    name = "prototype"
    stages = frozenset({2})
    shift: Tensor

    def __init__(self, facts: ltbench.Facts, *, distance: Distance = "euclidean",
                 distance_scale: ltbench.Positive = 1.0, learn_scale: bool = False,
                 cdt: bool = True, tau: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 1.0)] = 0.25,
                 lr: ltbench.Positive = 4.0, temperature_lr: ltbench.Positive = 0.005,
                 temperature_weight_decay: ltbench.NonNegative = 0.0, inputs: Inputs = "features", centroid_view: View = "plain",
                 draws: Annotated[int, ltbench.Interval(ge=1)] | None = None,
                 mirror: bool | None = None, batch_norm_drift: bool = False) -> None:
        super().__init__(facts)
        self.distance = distance
        self.cdt = cdt
        self.distance_scale = distance_scale
        self.learn_scale = learn_scale
        plain = distance == "euclidean" and not (cdt or learn_scale) and distance_scale == 1
        self.leaves = "centroids" if plain else "DistanceClassifier"
        self.lr = lr
        self.temperature_lr = temperature_lr
        self.temperature_weight_decay = temperature_weight_decay
        self.inputs = "images" if inputs == "images" or batch_norm_drift else None  # features are a stage's default
        self.backbone = "drifting" if batch_norm_drift else None
        self.centroid_view = centroid_view
        self.draws = draws
        self.mirror = mirror
        self.register_buffer("shift", (tau * facts.log_counts).float())  # tau log N_y, (C,)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of section 4.3."""
        return setting(task)

    def protocol_overrides(self) -> Mapping[str, Any]:
        """Return the number of draws and the view of test images, where they are asked for."""
        asked = {"stage2_samples": self.draws, "eval_flip": self.mirror}
        return {name: value for name, value in asked.items() if value is not None}

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head with eq. 1's classifier."""
        return make.head(ltbench.DistanceClassifier(make.feature_dim, make.num_classes, self.distance, temperatures=self.cdt,
                                                    scale=self.distance_scale, learn_scale=self.learn_scale))

    def fit(self, ctx: ltbench.Context) -> None:
        """Start from the class centroids."""
        bank = ctx.features("train", self.centroid_view)
        centroids = ltbench.class_centroids(bank.embedding, bank.labels, self.facts.num_classes,
                                            pointing=self.distance == "cosine")
        with torch.no_grad():
            ctx.classifier(ltbench.DistanceClassifier).prototypes.copy_(centroids)

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the class-balanced stream."""
        return {"main": ltbench.ClassBalanced()}

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return eq. 5, shape (B,); the adjustment is for training only."""
        return F.cross_entropy(logits + self.shift, labels, reduction="none")

    def parameter_groups(self, ctx: ltbench.Context) -> list[ltbench.ParameterGroup]:
        """Return the prototypes, which weight decay would draw to an arbitrary origin, and the temperatures."""
        classifier = ctx.classifier(ltbench.DistanceClassifier)
        groups = [ltbench.ParameterGroup([classifier.prototypes], lr=self.lr, weight_decay=0.0)]
        if classifier.log_temperatures is not None:
            groups.append(ltbench.ParameterGroup([classifier.log_temperatures], lr=self.temperature_lr,
                                                 weight_decay=self.temperature_weight_decay))
        if classifier.log_scale is not None:
            groups.append(ltbench.ParameterGroup([classifier.log_scale], lr=self.temperature_lr, weight_decay=0.0))
        return groups

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        """Return figure 3: mean distance and mean cosine of prototypes by pairs of head and tail classes."""
        return separation(ctx.classifier(ltbench.DistanceClassifier).prototypes.detach(), ctx.class_counts)


class PublicPrototypeClassifier(PrototypeClassifier):
    """Learn prototypes as the paper's public code does, where that differs from the print; its options are in the plugin's list.

    In the paper track it also draws 50,000 samples, lets batch-norm statistics drift and averages over the mirror image, as that
    code always does; in the common track all methods have the same draws and views, and features are cached.
    """

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of the public code, on CIFAR-100."""
        return setting(task, public=True)
