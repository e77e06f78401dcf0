"""CutMix (Yun et al., 2019): a patch of another image, with its part of the label."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

import torch

import ltbench


class CutMix(ltbench.Method):
    """Replace a patch of every image by that of another, and the label by as much of the other's as it covers.

    Args:
        alpha: Both parameters of the Beta distribution of the part that is kept.
        probability: That a batch is mixed.
    """

    name = "cutmix"
    stages = frozenset({1, 2})
    reference = "Yun et al., 2019"
    inputs = "images"

    def __init__(self, facts: ltbench.Facts, *, alpha: Annotated[ltbench.Positive, ltbench.LogUniform(0.1, 2.0)] = 1.0,
                 probability: ltbench.Fraction = 1.0) -> None:
        super().__init__(facts)
        self.alpha = alpha
        self.probability = probability

    def mix(self, ctx: ltbench.Context, batch: ltbench.Batch) -> ltbench.Batch:
        """Return the batch with one patch of its first view replaced, the same place in every image."""
        if batch.images is None:
            raise ValueError("cutmix needs images, got a batch without")
        if torch.rand((), generator=ctx.generator) >= self.probability:
            return batch
        height, width = batch.images.shape[-2:]
        side = math.sqrt(1 - ctx.draw_beta(self.alpha, self.alpha))
        rows, columns = span(height, side, ctx.generator), span(width, side, ctx.generator)
        others = ctx.partners(batch)
        images = batch.images.clone()
        images[..., rows, columns] = others.images[..., rows, columns]
        kept = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
        targets = [(labels, kept * weight) for labels, weight in batch.targets]
        targets += [(labels, (1 - kept) * weight) for labels, weight in others.targets]
        return dataclasses.replace(batch, images=images, targets=targets)


def span(length: int, side: float, generator: torch.Generator) -> slice:
    """Return where a patch lies along one axis: ``side`` of its length around a random center, cut at the edges."""
    center, half = int(torch.randint(length, (), generator=generator)), int(side * length) // 2
    return slice(max(center - half, 0), min(center + half, length))
