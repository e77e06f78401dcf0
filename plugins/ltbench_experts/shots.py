"""Which expert learns which classes, where each has those of a like number of images."""

from __future__ import annotations

import torch
from torch import Tensor

import ltbench
from ltbench_experts.divergence import NEVER


def own_classes(class_counts: Tensor) -> Tensor:
    """Return which classes each expert learns, bool, shape (E, C): those with many, with medium and with few images.

    Where one of the three would tell apart fewer than two classes, each has a third of all, ordered by their images.

    Args:
        class_counts: Training images of each class, shape (C,).
    """
    own = torch.stack(list(ltbench.shot_splits(class_counts).values()))
    own[-1] |= class_counts == 0
    if (own.sum(dim=1) >= 2).all():
        return own
    thirds = class_counts.argsort(descending=True, stable=True).tensor_split(3)
    classes = torch.arange(len(class_counts))
    return torch.stack([torch.isin(classes, third) for third in thirds if len(third)])


def streams_of(own: Tensor) -> dict[str, ltbench.Sampler]:
    """Return a sampler of each expert's own images, by name, in the order of the experts.

    Args:
        own: Shape (E, C).
    """
    names = ("main", "second", "third")
    return {name: ltbench.OfClasses(tuple(classes.nonzero()[:, 0].tolist())) for name, classes in zip(names, own, strict=False)}


def of_the_first(features: Tensor, logits: Tensor, own: Tensor) -> ltbench.Output:
    """Return what a step says of images that the first expert alone has seen: the others' features and logits are 0.

    An expert is not called on images of another: its batch norm would take their statistics in.

    Args:
        features: Of the first expert, shape (B, d).
        logits: Its own, shape (B, C).
        own: Shape (E, C).
    """
    rest = len(own) - 1
    embedding = torch.nn.functional.pad(features, (0, rest * features.shape[1]))
    each = torch.nn.functional.pad(logits[:, None], (0, 0, 0, rest))  # (B, E, C)
    extra = {"expert_features": embedding.view(len(embedding), len(own), -1), "expert_logits": each}
    return ltbench.Output(embedding, embedding, logits.masked_fill(~own[0], NEVER), extra)
