"""What a feature regularizer reads of a training step: features with their classes, mixed or not, of one model or of several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

import ltbench

# A head of several experts gives their features under this name, shape (B, E, d).
EXPERT_FEATURES = "expert_features"


@dataclass(frozen=True, eq=False)
class Members:
    """Hold one entry for every image and every class that it belongs to: S = B, or 2 B where images are mixed in pairs.

    A mixed image is a member of both its classes, with the shares that its loss has.

    Args:
        features: One an expert, each of shape (S, d), in at least float32.
        labels: Shape (S,).
        shares: Shape (S,); those of an image sum to 1.
    """

    features: tuple[Tensor, ...]
    labels: Tensor
    shares: Tensor

    @property
    def together(self) -> Tensor:
        """The share of entry j where it is of entry i's class, else 0, shape (S, S)."""
        return (self.labels[:, None] == self.labels) * self.shares

    @property
    def stand_for_class(self) -> Tensor:
        """Whether an entry is the first of its class, so that each class present is counted once, bool, shape (S,)."""
        earlier = (self.together > 0).tril(diagonal=-1).any(dim=1)
        return (self.shares > 0) & ~earlier


def members_of(step: ltbench.Step, experts: Literal["mean", "each"] = "each") -> Members:
    """Return the members of this process's part of a step.

    Args:
        step: Finished.
        experts: Where a head has several: the ``mean`` of their features, or ``each`` one's.
    """
    targets = step.batch.targets
    found = step.output.extra.get(EXPERT_FEATURES)  # (B, E, d)
    each = (step.output.features,) if found is None else (found.mean(dim=1),) if experts == "mean" else found.unbind(dim=1)
    features = tuple(part.to(torch.promote_types(part.dtype, torch.float32)).repeat(len(targets), 1) for part in each)
    shares = [share if isinstance(share, Tensor) else torch.full_like(labels, share, dtype=features[0].dtype)
              for labels, share in targets]
    return Members(features, torch.cat([labels for labels, _ in targets]), torch.cat(shares))


def everywhere(members: Members, gather: Callable[[Tensor], Tensor]) -> Members:
    """Return the members of all processes' parts of a step; gradients reach the features of each."""
    return Members(tuple(gather(part) for part in members.features), gather(members.labels), gather(members.shares))


def sizes_in_batch(members: Members, step: ltbench.Step) -> Tensor:
    """Return how many images of the global batch are of each entry's class, shape (S,): of mixed images, their shares.

    Mixing permutes labels within the global batch, so a class keeps the total share that it was drawn with.
    """
    return (members.labels[:, None] == step.batch.global_labels).sum(dim=1)


def feature_width(ctx: ltbench.Context) -> int:
    """Return d, the width of the features that the stage's classifier reads, of all experts together."""
    return _output_of_head(ctx).features.shape[1]


def count_experts(ctx: ltbench.Context) -> int:
    """Return E, the number of experts of the stage's head; 1 where it has none."""
    experts = _output_of_head(ctx).extra.get(EXPERT_FEATURES)
    return 1 if experts is None else experts.shape[1]


def _output_of_head(ctx: ltbench.Context) -> ltbench.Output:
    engine = ctx.engine
    embedding = torch.zeros(1, ctx.embedding_dim, device=ctx.device)
    training = engine.head.training
    engine.head.eval()  # a batch norm in a projection must not count this
    with torch.no_grad():
        output: ltbench.Output = engine.head(embedding)
    engine.head.train(training)
    return output
