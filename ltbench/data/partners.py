"""Which images of a global batch are mixed with which, and where they come from when it is split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ltbench.data.batch import Batch
from ltbench.errors import UserError


@dataclass(frozen=True, eq=False)
class Partners:
    """Hold one image of the global batch for every image of a part of it.

    Args:
        images: Shape (B, channels, H, W).
        targets: Weighted labels, as in :class:`Batch`.
        views: The first views of the same images, as many as were asked for; the first of them is ``images``.
    """

    images: Tensor
    targets: list[tuple[Tensor, float | Tensor]]
    views: list[Tensor] = field(default_factory=list)

    @property
    def labels(self) -> Tensor:
        """Classes of the images, int64, shape (B,); of the first image where they are mixed themselves."""
        return self.targets[0][0]


def draw_partners(batch: Batch, generator: torch.Generator, gather: Callable[[Tensor], Tensor], views: int = 1) -> Partners:
    """Permute the global batch and return the rows that fall to a part of it.

    One permutation of everything, rather than one of each part, makes the pairs independent of the number of processes and of
    accumulation steps. A part's partners lie anywhere, so all images are gathered: 1.5 MiB for a view of 128 of CIFAR's.

    Args:
        batch: The part; of a global batch that is split, images and targets are taken as they were drawn.
        generator: In the same state for every part.
        views: How many views of each partner are wanted, all by the one permutation.

    Raises:
        UserError: If the global batch has one image, which would be mixed with itself.
    """
    if batch.images is None:
        raise ValueError("mixing needs images, got a batch without")
    if not 1 <= views <= max(1, len(batch.views)):
        raise ValueError(f"views must be 1 to {max(1, len(batch.views))}, as many as a sample comes in, got {views}")
    if len(batch.global_labels) < 2:
        raise UserError("mixing must have a global batch of at least 2 images, got 1: raise --batch-size")
    order = torch.randperm(len(batch.global_labels), generator=generator)
    rows = batch.rows_of(order)  # (B,)
    if batch.chunks == 1:
        images = [batch.images, *batch.views[1:views]]
        targets = [(labels[rows], weight[rows] if isinstance(weight, Tensor) else weight) for labels, weight in batch.targets]
    else:
        # (G, ...) each, in the global batch's own order
        images = [torch.cat([gather(piece[number]) for piece in batch.pieces]) for number in range(views)]
        targets = [(batch.global_labels[rows], 1.0)]
    found = [view[rows] for view in images]
    return Partners(found[0], targets, found)
