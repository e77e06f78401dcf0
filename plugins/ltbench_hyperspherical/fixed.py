"""What classifiers with fixed prototypes share: the head, and the loss that pulls a feature to its prototype (eq. 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_hyperspherical.spread import largest_cosine

Dimension = Annotated[int, ltbench.Interval(ge=2)] | None


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


class FixedPrototypes(ltbench.Method):
    """Project embeddings to d dimensions and pull them to prototypes that never move.

    The projection is linear and always there: behind its last ReLU an embedding reaches one orthant of the sphere only.

    Args:
        dim: d; none for C.
        prototype_seed: Of the prototypes.
    """

    leaves = "UnitPrototypes"

    def __init__(self, facts: ltbench.Facts, *, dim: Dimension = None, prototype_seed: int = 0) -> None:
        super().__init__(facts)
        self.dim = facts.num_classes if dim is None else dim
        self.prototype_seed = prototype_seed

    def prototypes(self, ctx: ltbench.Context) -> Tensor:
        """Return the unit prototypes that the method stands on, shape (C, d)."""
        raise TypeError(f"{type(self).__name__} must say what its prototypes are")

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return the fixed classifier; its logits are cosines, whose softmax is the probability of eq. 8."""
        return UnitPrototypes(feature_dim, num_classes)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head: a projection to d, then cosines."""
        return make.head(make.classifier(self.dim), nn.Linear(make.feature_dim, self.dim))

    def setup(self, ctx: ltbench.Context) -> None:
        """Set the prototypes; what is restored into a stage later is what they were."""
        ctx.classifier(UnitPrototypes).prototypes.copy_(self.prototypes(ctx))

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return L_IPM = (z w - 1)^2 / 2 of every sample (eq. 6), shape (B,)."""
        return 0.5 * (1 - logits.gather(1, labels[:, None])[:, 0]).square()

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        """Return the cosine of the closest pair of prototypes."""
        return {"largest_cosine": largest_cosine(ctx.classifier(UnitPrototypes).prototypes)}
