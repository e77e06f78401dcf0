"""The last layer of a stage as a run keeps it: class statistics and one vector a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

_ASSIGNMENT = "head.classifier.assignment"  # only unit prototypes, which are directions, are assigned


@dataclass(frozen=True, eq=False)
class Layer:
    """Hold what is known of a stage's last layer, for the K classes that have training images.

    Args:
        classes: Their positions, shape (K,).
        means: Of the features, float64, shape (K, d).
        variance: Trace of each class's covariance about its mean, divided by n, float64, shape (K,).
        vectors: Weight vectors or prototypes of the classifier, float64, shape (K, d); None where it has no such.
        kind: ``classifier`` for weight vectors, ``prototypes`` for points or directions; None without vectors.
        points: Whether the vectors are points among the features, whose origin means nothing.
        bias: Of a linear classifier, shape (K,); None where it has none.
    """

    classes: Tensor
    means: Tensor
    variance: Tensor
    vectors: Tensor | None
    kind: str | None
    points: bool
    bias: Tensor | None


def read_layer(tensors: Mapping[str, Tensor]) -> Layer:
    """Read one stage's layer.

    Args:
        tensors: By their names within the stage (``class_means``, ``head.classifier.weight``, ...).

    Raises:
        KeyError: If class statistics are missing.
    """
    counts = tensors["class_counts"]
    classes = (counts > 0).nonzero()[:, 0]
    vectors, kind = _vectors(tensors, len(counts))
    bias = tensors.get("head.classifier.bias") if kind == "classifier" else None
    return Layer(classes, tensors["class_means"].double()[classes], tensors["class_variance"].double()[classes],
                 None if vectors is None else vectors.double()[classes], kind,
                 kind == "prototypes" and _ASSIGNMENT not in tensors,
                 bias.double()[classes] if bias is not None and bias.shape == counts.shape else None)


def _vectors(tensors: Mapping[str, Tensor], num_classes: int) -> tuple[Tensor | None, str | None]:
    for name, kind in (("prototypes", "prototypes"), ("weight", "classifier")):
        value = tensors.get(f"head.classifier.{name}")
        if value is not None and value.dim() == 2 and len(value) == num_classes:
            moved = tensors.get(_ASSIGNMENT)  # which prototype stands for a label, where labels move
            if kind == "prototypes" and moved is not None and moved.shape == (num_classes,):
                value = value[moved.long()]
            return value, kind
    return None, None


def by_size(counts: Tensor) -> Tensor:
    """Return the positions of classes from the largest to the smallest, equal ones in their order, shape (C,)."""
    return torch.argsort(counts, descending=True, stable=True)
