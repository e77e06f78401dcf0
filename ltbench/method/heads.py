"""Classifiers: features (B, d) to logits (B, C). The linear one is ``torch.nn.Linear``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltbench.errors import UserError, unknown
from ltbench.method.distances import cosine_distance, euclidean_distance, pairwise_squared_distance

LinearClassifier = nn.Linear

DISTANCES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType({
    "euclidean": euclidean_distance,
    "squared": pairwise_squared_distance,
    "cosine": cosine_distance,
})


class CosineClassifier(nn.Module):
    """Score a class by the scaled cosine of feature and weight vector, without bias (the head of Cao et al., 2019).

    Args:
        features: d.
        classes: C.
        scale: By what the cosine is multiplied; the logits include it.
    """

    def __init__(self, features: int, classes: int, scale: float = 30.0) -> None:
        super().__init__()
        if not scale > 0:
            raise UserError(f"scale must be > 0, got {scale}")
        self.scale = scale
        # Only the direction counts, but a gradient step turns a long vector less: start at length 1.
        self.weight = nn.Parameter(F.normalize(torch.empty(classes, features).uniform_(-1, 1), dim=1))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, shape (B, C), from -scale to scale."""
        return self.scale * F.linear(F.normalize(features, dim=1), F.normalize(self.weight, dim=1))


class DistanceClassifier(nn.Module):
    """Score a class by minus half the distance to its prototype (Sharma et al., 2023, eq. 1).

    With the Euclidean distance the loss gradient on the right prototype has norm (1 - p) / 2 and on another p / 2, whatever the
    distance (theorem 1, with the factor of eq. 1): outliers pull no harder than others.

    Channel temperatures T divide the squared difference in each channel (eq. 4). They are kept as logarithms, so that they stay
    positive and weight decay draws them to 1; at T = 1 a step in log T is a step in T. The other distances are likewise
    measured on channels divided by the root of T.

    A scale multiplies the distance. The Euclidean distances have that of the features; a cosine spans 2 whatever the features
    are, so that without a scale the logits span 1.

    Args:
        features: d.
        classes: C.
        distance: ``euclidean`` (eq. 2), ``squared`` or ``cosine``.
        temperatures: Whether channel temperatures are learned.
        scale: By what the distance is multiplied, above 0; where it is learned, at the start.
        learn_scale: Whether the scale is learned, as a logarithm.

    Attributes:
        prototypes: Shape (C, d); a method sets them, to centroids as a rule.
        log_temperatures: Shape (d,), 0 at the start; None without temperatures.
        log_scale: A scalar; None where the scale is fixed.
    """

    log_temperatures: nn.Parameter | None
    log_scale: nn.Parameter | None

    def __init__(self, features: int, classes: int, distance: str = "euclidean", temperatures: bool = False, *,
                 scale: float = 1.0, learn_scale: bool = False) -> None:
        super().__init__()
        if distance not in DISTANCES:
            raise unknown("distance", distance, DISTANCES)
        if not scale > 0:
            raise UserError(f"scale must be > 0, got {scale}")
        self.distance = distance
        self.fixed_scale = scale
        self.prototypes = nn.Parameter(torch.empty(classes, features).normal_(std=features**-0.5))
        self.register_parameter("log_temperatures", nn.Parameter(torch.zeros(features)) if temperatures else None)
        self.register_parameter("log_scale", nn.Parameter(torch.tensor(scale).log()) if learn_scale else None)

    @property
    def plain(self) -> bool:
        """Whether it is half the Euclidean distance of features as they are and nothing else."""
        return self.distance == "euclidean" and self.log_temperatures is None and self.log_scale is None and self.fixed_scale == 1

    @property
    def scale(self) -> Tensor | float:
        """By what the distance is multiplied."""
        return self.fixed_scale if self.log_scale is None else self.log_scale.exp()

    @property
    def temperatures(self) -> Tensor:
        """T, shape (d,); ones where they are not learned."""
        if self.log_temperatures is None:
            return torch.ones_like(self.prototypes[0])
        return self.log_temperatures.exp()

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, shape (B, C), at most 0."""
        prototypes: Tensor = self.prototypes
        if self.log_temperatures is not None:
            root = (-0.5 * self.log_temperatures).exp()  # T^(-1/2)
            features, prototypes = features * root, prototypes * root
        return -0.5 * self.scale * DISTANCES[self.distance](features, prototypes)
