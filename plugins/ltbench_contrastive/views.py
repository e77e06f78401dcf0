"""Steps on several views: the first one is classified, the others are contrasted."""

from __future__ import annotations

import torch
from torch import Tensor

import ltbench

# SimCLR's view as Zhu et al. (2022) and Du et al. (2024) have it: windows down to .08 of the image, no blur.
SIM = ("random_resized_crop", "flip", "jitter(hue=0.1,p=0.8)", "grayscale(p=0.2)")


def classified(ctx: ltbench.Context, batch: ltbench.Batch) -> tuple[ltbench.Step, Tensor]:
    """Return the step of the first view and the embeddings of the others, shape (B, V, D), from one pass of the network.

    The first view may be mixed, and its loss is the stack's; the others are as drawn. Batch norm sees all of them together.
    """
    mixed = ctx.mix(batch)
    if mixed.images is None:
        raise TypeError("views are made of images")
    size = len(batch.labels)
    everything = ctx.forward(torch.cat([mixed.images, *batch.views[1:]]))
    output = ltbench.Output(everything.embedding[:size], everything.features[:size], everything.logits[:size],
                            {name: rows[:size] for name, rows in everything.extra.items()})
    others = everything.embedding[size:].unflatten(0, (-1, size)).transpose(0, 1)
    return ltbench.Step(ctx.loss(output.logits, mixed), output, mixed), others
