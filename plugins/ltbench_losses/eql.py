"""Softmax equalization loss (Tan et al., 2020): the equalization loss for classification."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench


class Equalization(ltbench.Method):
    """Leave rare classes out of the softmax of other classes' images, most of the time.

    An image of one class is a negative one for every other. Rare classes have so many of them that they are only ever
    discouraged; here these gradients are dropped.

    Args:
        threshold: lambda; a class with a smaller share of the training images is rare.
        drop: gamma, the probability with which a rare class is left out of an image's softmax.
    """

    name = "eql"
    stages = frozenset({1, 2})
    rare: Tensor

    def __init__(self, facts: ltbench.Facts, *, threshold: Annotated[ltbench.Fraction, ltbench.LogUniform(1e-4, 0.05)] = 0.005,
                 drop: Annotated[ltbench.Fraction, ltbench.Uniform(0.5, 1.0)] = 0.9) -> None:
        super().__init__(facts)
        self.drop = drop
        self.register_buffer("rare", facts.class_counts / facts.class_counts.sum() < threshold)  # T_lambda, (C,)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy, shape (B,). Owning it says that no other loss may take part: classes are missing from it."""
        return F.cross_entropy(logits, labels, reduction="none")

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Return the loss over the classes that each image is left with; a mixed image's labels are taken one by one."""
        batch = ctx.mix(batches["main"])
        output = ctx.forward(batch)
        left_out = self.left_out(ctx, batch)
        loss = output.logits.new_zeros((), dtype=torch.float32)
        for labels, share in batch.targets:
            own = torch.zeros_like(left_out).scatter_(1, labels[:, None], True)
            logits = output.logits.float().masked_fill(left_out & ~own, -math.inf)  # w_k = 0
            loss = loss + ctx.loss(logits, dataclasses.replace(batch, targets=[(labels, share)]))
        return ltbench.Step(loss, output, batch)

    def left_out(self, ctx: ltbench.Context, batch: ltbench.Batch) -> Tensor:
        """Return the rare classes that are left out of each image's softmax, drawn anew, shape (B, C)."""
        drawn = torch.rand(len(batch.global_labels), len(self.rare), generator=ctx.generator) < self.drop  # beta, (G, C)
        return batch.rows_of(drawn) & self.rare
