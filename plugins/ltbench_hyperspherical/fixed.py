"""What classifiers with fixed prototypes share: the head, and the loss that pulls a feature to its prototype (eq. 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_hyperspherical.spread import largest_cosine

Dimension = Annotated[int, ltbench.Interval(ge=2)] | None
HeadKind = Literal["linear", "batch_norm"]
Reduction = Literal["mean", "sum"]
Weights = Literal["none", "batch"]


class UnitPrototypes(nn.Module):
    """Score a class by the cosine between the feature and the prototype that stands for it.

    Args:
        dim: d.
        classes: C.

    Attributes:
        prototypes: Fixed unit rows, shape (C, d); a method sets them.
        assignment: A: position of each label's prototype, int64, shape (C,); the identity at the start.
    """

    prototypes: Tensor
    assignment: Tensor

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("prototypes", torch.zeros(classes, dim))
        self.register_buffer("assignment", torch.arange(classes))

    def forward(self, features: Tensor) -> Tensor:
        """Return cosines, at least float32, shape (B, C): in half precision a loss of 1 - cos would lose all digits near 1."""
        with torch.autocast(features.device.type, enabled=False):
            features = features.to(torch.promote_types(features.dtype, self.prototypes.dtype))
            return F.linear(F.normalize(features, dim=1), self.prototypes[self.assignment].to(features.dtype))


class FeatureNorm(nn.BatchNorm1d):
    """Bring each feature to mean 0 and variance 1 over a batch, then scale and shift it."""

    def forward(self, features: Tensor) -> Tensor:
        """Return the features, shape (B, d)."""
        if self.training and len(features) < 2:
            raise ltbench.UserError("head=batch_norm needs 2 images or more in each part of a batch, got 1: it compares them")
        return super().forward(features)


class FixedPrototypes(ltbench.Method):
    """Bring embeddings to d dimensions and pull them to prototypes that never move.

    Behind its last ReLU an embedding reaches one orthant of the sphere only, and those of all classes point much the same way. A
    linear layer can turn them, slowly; a batch norm takes away at once what they have in common.

    Args:
        dim: d; none for C.
        prototype_seed: Of the prototypes.
        head: ``linear``, or ``batch_norm``: of the embedding itself where d is its width, else behind a linear layer.
        reduction: ``mean``, over a batch, of half the squared distance (eq. 6); ``sum``, of the whole one (eqs. 1 and 2).
        weights: ``batch`` lets every class of a batch count alike, whatever its images in it; mixed ones count as drawn.
    """

    leaves = "UnitPrototypes"

    def __init__(self, facts: ltbench.Facts, *, dim: Dimension = None, prototype_seed: int = 0, head: HeadKind = "linear",
                 reduction: Reduction = "mean", weights: Weights = "none") -> None:
        super().__init__(facts)
        self.dim = facts.num_classes if dim is None else dim
        self.prototype_seed = prototype_seed
        self.head = head
        self.reduction = reduction
        self.weights = weights

    def prototypes(self, ctx: ltbench.Context) -> Tensor:
        """Return the unit prototypes that the method stands on, shape (C, d)."""
        raise TypeError(f"{type(self).__name__} must say what its prototypes are")

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return the fixed classifier; its logits are cosines, whose softmax is the probability of eq. 8."""
        return UnitPrototypes(feature_dim, num_classes)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head: a linear layer to d, a batch norm, or both, then cosines."""
        classifier = make.classifier(self.dim)
        if self.head == "linear":
            return make.head(classifier, nn.Linear(make.feature_dim, self.dim))
        norm = FeatureNorm(self.dim)
        if make.feature_dim == self.dim:
            return make.head(classifier, norm)
        return make.head(classifier, nn.Sequential(nn.Linear(make.feature_dim, self.dim, bias=False), norm))

    def setup(self, ctx: ltbench.Context) -> None:
        """Set the prototypes; what is restored into a stage later is what they were."""
        ctx.classifier(UnitPrototypes).prototypes.copy_(self.prototypes(ctx))

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return L_IPM = (z w - 1)^2 / 2 of every sample (eq. 6), twice that where the batch is summed, shape (B,)."""
        squared = (1 - logits.gather(1, labels[:, None])[:, 0]).square()
        return squared if self.reduction == "sum" else 0.5 * squared

    def class_weights(self, ctx: ltbench.Context) -> Tensor | None:
        """Return (B / U) / (its images in the batch) for each of the U classes of a batch, 0 for others, shape (C,)."""
        if self.weights == "none" or ctx.global_labels is None:
            return None
        labels = ctx.global_labels
        counts = torch.zeros(self.facts.num_classes, device=labels.device).index_add_(
            0, labels, torch.ones(len(labels), device=labels.device))
        return torch.where(counts > 0, len(labels) / ((counts > 0).sum() * counts.clamp_min(1)), 0.0)

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        """Return the cosine of the closest pair of prototypes."""
        return {"largest_cosine": largest_cosine(ctx.classifier(UnitPrototypes).prototypes)}
