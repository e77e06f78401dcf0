"""Manifold mixup (Verma et al., 2019, section 2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated

import torch
from torch import nn

import ltbench
from ltbench_baselines.mixup import Mixup, blend


def trunk_parts(backbone: nn.Module) -> list[nn.Module]:
    """Return the consecutive parts of a backbone's trunk; hidden states are mixed before the first or after any of them.

    A part ends with a stage, which is a sequence within the sequence, or with the trunk.

    Args:
        backbone: With a ``trunk``.

    Raises:
        UserError: If it cannot be split.
    """
    trunk = getattr(backbone, "trunk", None)
    if not isinstance(trunk, nn.Module) or not (hasattr(backbone, "last_stage") and hasattr(backbone, "pool")):
        raise ltbench.UserError(f"manifold_mixup needs a backbone with trunk, last_stage and pool, got {type(backbone).__name__}")
    if not isinstance(trunk, nn.Sequential):
        return [trunk]
    parts: list[nn.Module] = []
    pending: list[nn.Module] = []
    for child in trunk:
        pending.append(child)
        if isinstance(child, nn.Sequential):
            parts.append(nn.Sequential(*pending))
            pending = []
    return [*parts, nn.Sequential(*pending)] if pending else parts


class ManifoldMixup(Mixup):
    """Train on convex combinations of hidden states, of a layer drawn anew in every step, with labels in the same proportion.

    Layer 0 is the image; layer k is the output of the k-th stage of the backbone, as far as its trunk reaches.

    Args:
        alpha: Both parameters of the Beta distribution of the proportion.
        deepest: The last layer that may be drawn; a backbone with fewer offers what it has.
    """

    name = "manifold_mixup"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, alpha: ltbench.Positive = 2.0,
                 deepest: Annotated[int, ltbench.Interval(ge=0)] = 2) -> None:
        super().__init__(facts, alpha=alpha)
        self.deepest = deepest

    def setup(self, ctx: ltbench.Context) -> None:
        """Refuse a backbone that cannot be split before anything is trained."""
        trunk_parts(ctx.engine.backbone)

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Run the backbone up to the drawn layer, mix there, and go on with the mixture (section 2, steps 1 to 5)."""
        batch = batches["main"]
        if batch.images is None:
            raise ValueError("mixing needs images, got a batch without")
        backbone = ctx.engine.backbone
        parts = trunk_parts(backbone)
        layer = int(torch.randint(min(self.deepest, len(parts)) + 1, (), generator=ctx.generator))
        lower, upper = nn.Sequential(*parts[:layer]), nn.Sequential(*parts[layer:])
        hidden = lower(batch.images)
        proportion = self.draw_proportion(ctx)
        if batch.chunks == 1:
            partners = ctx.partners(dataclasses.replace(batch, images=hidden))
        else:  # partners may be of other parts: their hidden states are computed once more, for their gradients
            drawn = ctx.partners(batch)
            partners = dataclasses.replace(drawn, images=lower(drawn.images))
        mixed = blend(batch, hidden, partners, proportion)
        hidden = upper(mixed.images)
        output = ctx.engine.head(backbone.pool(backbone.last_stage(hidden)))  # type: ignore[operator]
        # Whoever reads the batch's images sees images: the mixed ones, or the plain ones where a hidden state was mixed.
        seen = dataclasses.replace(mixed, images=mixed.images if layer == 0 else batch.images)
        return ltbench.Step(ctx.loss(output.logits, seen), output, seen)
