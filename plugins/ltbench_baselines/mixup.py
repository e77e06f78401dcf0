"""Mixup (Zhang et al., 2018, section 2)."""

from __future__ import annotations

import dataclasses

from torch import Tensor

import ltbench


class Mixup(ltbench.Method):
    """Train on convex combinations of pairs of images, with their labels in the same proportion.

    One proportion and one set of pairs are drawn for each global batch, however it is split.

    Args:
        alpha: Both parameters of the Beta distribution of the proportion: 1 is uniform, towards 0 hardly anything is mixed.
    """

    name = "mixup"
    stages = frozenset({1, 2})
    inputs = "images"

    def __init__(self, facts: ltbench.Facts, *, alpha: ltbench.Positive = 1.0) -> None:
        super().__init__(facts)
        self.alpha = alpha

    def mix(self, ctx: ltbench.Context, batch: ltbench.Batch) -> ltbench.Batch:
        """Return the batch with its first view mixed and every target split in two; further views stay as drawn."""
        if batch.images is None:
            raise ValueError("mixing needs images, got a batch without")
        proportion = self.draw_proportion(ctx)
        return blend(batch, batch.images, ctx.partners(batch), proportion)

    def draw_proportion(self, ctx: ltbench.Context) -> float:
        """Return the share of an image in its mixture, from the Beta distribution."""
        return ctx.draw_beta(self.alpha, self.alpha)


def blend(batch: ltbench.Batch, images: Tensor, partners: ltbench.Partners, proportion: float) -> ltbench.Batch:
    """Return the batch with mixed images and every target split in two.

    Args:
        images: Its images, or hidden states of them, shape (B, ...).
        partners: What each of them is mixed with, in the same form.
        proportion: Of the batch's own.
    """
    targets = [(labels, proportion * weight) for labels, weight in batch.targets]
    targets += [(labels, (1 - proportion) * weight) for labels, weight in partners.targets]
    return dataclasses.replace(batch, images=proportion * images + (1 - proportion) * partners.images, targets=targets)
