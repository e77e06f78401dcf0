"""Context-rich minority oversampling (Park et al., "The majority can help the minority", 2022).

The authors' code leaves the first and the last three epochs without pasting; here every epoch has it, as in their algorithm.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import torch

import ltbench


class ContextRichOversampling(ltbench.Method):
    """Paste a patch of a rare class's image onto an image as it comes, so that rare objects are seen in rich surroundings.

    Args:
        alpha: Both parameters of the Beta distribution of the part that is kept.
        probability: That a batch is pasted onto.
    """

    name = "cmo"
    stages = frozenset({1})
    reference = "Park et al., 2022"

    def __init__(self, facts: ltbench.Facts, *, alpha: ltbench.Positive = 1.0, probability: ltbench.Fraction = 0.5) -> None:
        super().__init__(facts)
        self.alpha = alpha
        self.probability = probability

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the stream of backgrounds, as they come, and that of foregrounds: q(1, k), class k by 1 / n_k."""
        return {"main": ltbench.InstanceBalanced(), "rare": ltbench.ClassReversed()}

    def mix(self, ctx: ltbench.Context, batch: ltbench.Batch) -> ltbench.Batch:
        """Return the batch as it is: owning this says that no other method may mix what the step mixes already."""
        return batch

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Return the loss of the backgrounds, or of backgrounds with patches and of both their labels."""
        main, rare = batches["main"], batches["rare"]
        if torch.rand((), generator=ctx.generator) >= self.probability:
            return ctx.default_step(main)
        if main.images is None or rare.images is None:
            raise ValueError("cmo needs images, got a batch without")
        height, width = main.images.shape[-2:]
        side = math.sqrt(1 - ctx.draw_beta(self.alpha, self.alpha))
        rows, columns = span(height, side, ctx.generator), span(width, side, ctx.generator)
        images = main.images.clone()
        images[..., rows, columns] = rare.images[..., rows, columns]
        kept = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)  # lambda
        mixed = dataclasses.replace(main, images=images, targets=[(main.labels, kept), (rare.labels, 1 - kept)])
        output = ctx.forward(mixed)
        # Each part is weighted by its own classes' weights, where the stack has any.
        loss = kept * ctx.loss(output.logits, main) + (1 - kept) * ctx.loss(output.logits, rare)
        return ltbench.Step(loss, output, mixed)


def span(length: int, side: float, generator: torch.Generator) -> slice:
    """Return where a patch lies along one axis: ``side`` of its length around a random center, cut at the edges."""
    center, half = int(torch.randint(length, (), generator=generator)), int(side * length) // 2
    return slice(max(center - half, 0), min(center + half, length))
