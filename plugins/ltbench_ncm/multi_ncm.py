"""Nearest of several centroids a class, Multi-NCM (Learned NCM paper, section 4.4)."""

from __future__ import annotations

import copy
from typing import Annotated

import torch
from torch import Tensor, nn

import ltbench
from ltbench_ncm.centroids import class_variance
from ltbench_ncm.learned import Inputs, LearnedDistance, Tau
from ltbench_ncm.multi_distance import nearest_displaced_distance
from ltbench_ncm.setting import setting

Displacements = Annotated[int, ltbench.Interval(ge=1), ltbench.Choice(1, 5, 10, 20, 40)]


class MultiCentroidClassifier(nn.Module):
    """Score a class by minus half the distance to the nearest of its centroids (eq. 10).

    Args:
        features: d.
        classes: C.
        displacements: K, without the null one.

    Attributes:
        centroids: Fixed, shape (C, d).
        displacements: Learned, shape (K, d).
    """

    centroids: Tensor

    def __init__(self, features: int, classes: int, displacements: int) -> None:
        super().__init__()
        self.register_buffer("centroids", torch.zeros(classes, features))
        self.displacements = nn.Parameter(torch.zeros(displacements, features))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, shape (B, C), at most 0."""
        return -0.5 * nearest_displaced_distance(features, self.centroids, self.displacements)


class MultiNCM(LearnedDistance):
    """Give every class more centroids: its own, learned before and now fixed, plus displacements that all classes share.

    Args:
        displacements: How many are learned; the null one, which is fixed, comes on top.
        start_scale: Length of a displacement at the start, as a multiple of a channel's root-mean-square deviation within a
            class. A displacement that is nearest to no feature learns nothing, and neither does one of length 0.
    """

    name = "multi_ncm"
    below = "lncm"
    needs = frozenset({"centroids"})
    leaves = "MultiCentroidClassifier"

    def __init__(self, facts: ltbench.Facts, *, displacements: Displacements = 20, tau: Tau = 0.0,
                 lr: ltbench.Positive = 5.0, clip_norm: ltbench.Positive = 0.1,
                 start_scale: ltbench.Positive = 1.0, inputs: Inputs = "features") -> None:
        super().__init__(facts, tau=tau, lr=lr, clip_norm=clip_norm, inputs=inputs)
        self.displacements = displacements
        self.start_scale = start_scale

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of section 5.2; with logit adjustment too, the centroids are those learned without."""
        return setting(task, stage1="lncm", learned=True)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head; :meth:`setup` puts the earlier stage's centroids into it."""
        return make.head(MultiCentroidClassifier(make.feature_dim, make.num_classes, self.displacements))

    def setup(self, ctx: ltbench.Context) -> None:
        """Take over the centroids, and the projection that their features come through, if there is one.

        Raises:
            UserError: If the stage before has not one centroid a class under the plain Euclidean distance.
        """
        before = getattr(ctx.previous, "head", None)
        earlier = getattr(before, "classifier", None)
        if not isinstance(earlier, ltbench.DistanceClassifier):
            found = type(earlier if earlier is not None else before).__name__
            raise ltbench.UserError(f"the stage before {self.name!r} must have centroids, as {self.below!r} has, got {found}")
        if earlier.distance != "euclidean" or earlier.log_temperatures is not None:
            raise ltbench.UserError(f"the distance before {self.name!r} must be euclidean and without channel temperatures")
        head = ctx.engine.head
        head.projection = copy.deepcopy(getattr(before, "projection", nn.Identity())).requires_grad_(False)
        centroids = earlier.prototypes.detach()
        classifier = MultiCentroidClassifier(centroids.shape[1], len(centroids), self.displacements).to(centroids.device)
        classifier.centroids.copy_(centroids)
        head.classifier = classifier

    def fit(self, ctx: ltbench.Context) -> None:
        """Start the displacements in random directions, short enough that every one is the nearest for some features."""
        bank = ctx.features("train")
        classifier = ctx.classifier(MultiCentroidClassifier)
        with torch.no_grad():
            projection = ctx.engine.head.projection
            if not isinstance(projection, nn.Module):
                raise TypeError(f"the head's projection must be a module, got {type(projection).__name__}")
            # Not head(...): its logits would be (N, C).
            variances = class_variance(bank.embedding, bank.labels, classifier.centroids, projection)
            variance = variances[ctx.class_counts > 0].mean()
            shape = classifier.displacements.shape
            length = self.start_scale * (variance / shape[1]).sqrt()
            directions = nn.functional.normalize(torch.randn(shape, generator=ctx.generator), dim=1)
            classifier.displacements.copy_(directions.to(length.device) * length)

    def start_epoch(self, ctx: ltbench.Context) -> None:
        """Keep the projection as it was trained: the loop puts every part of a head into training mode."""
        projection = ctx.engine.head.projection
        if isinstance(projection, nn.Module):
            projection.eval()
