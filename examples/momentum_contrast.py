"""Momentum contrast beside a classifier (He et al., 2020)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench


class MomentumContrast(ltbench.Method):
    """Pull an image's query towards the key of its other view, and away from the keys of images that came before.

    Args:
        weight: Of the contrast; that of the classifier is 1.
        temperature: Of the similarities.
        momentum: Of the encoder that makes the keys.
        queue: Keys that are remembered.
        dim: Their length.
    """

    name = "momentum_contrast"
    stages = frozenset({1})
    reference = "He et al., 2020"

    queue: Tensor
    filled: Tensor

    def __init__(self, facts: ltbench.Facts, *, weight: ltbench.NonNegative = 1.0, temperature: ltbench.Positive = 0.07,
                 momentum: Annotated[float, ltbench.Interval(ge=0, lt=1)] = 0.999,
                 queue: Annotated[int, ltbench.Interval(ge=1)] = 4096, dim: Annotated[int, ltbench.Interval(ge=1)] = 128) -> None:
        super().__init__(facts)
        self.weight, self.temperature, self.momentum = weight, temperature, momentum
        self.projection = nn.Linear(facts.feature_dim, dim)
        self.encoder: nn.Module = nn.Identity()
        self.register_buffer("queue", torch.zeros(queue, dim))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def setup(self, ctx: ltbench.Context) -> None:
        """Let an encoder of keys follow the one of queries."""
        self.encoder = ctx.ema_of(nn.Sequential(ctx.engine.backbone, self.projection), self.momentum)

    def views(self, ctx: ltbench.Context) -> tuple[tuple[str, ...], ...]:
        """Return the protocol's view, which is classified, and that of contrastive learning."""
        return (ctx.protocol.augmentation, ("simclr",))

    def mix(self, ctx: ltbench.Context, batch: ltbench.Batch) -> ltbench.Batch:
        """Return the batch as it is: no other method may mix images that are to be recognized."""
        return batch

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Classify the first view, and contrast it with the second (eq. 1)."""
        step = ctx.default_step(batches["main"])
        queries = F.normalize(self.projection(step.output.embedding), dim=1)
        keys = F.normalize(self.encoder(batches["main"].views[1]), dim=1)
        contrast = self.contrast(queries, keys).mean()
        return dataclasses.replace(step, loss=step.loss + self.weight * contrast, rows={"keys": keys},
                                   logs={"classification": step.loss, "contrast": contrast})

    def contrast(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return eq. 1 for every image, shape (B,)."""
        own = (queries * keys).sum(dim=1, keepdim=True)
        others = queries @ self.queue.to(queries.dtype).T  # (B, Q)
        empty = torch.arange(len(self.queue), device=others.device) >= self.filled
        scores = torch.cat([own, others.masked_fill(empty, -torch.inf)], dim=1) / self.temperature
        return F.cross_entropy(scores, torch.zeros_like(keys[:, 0], dtype=torch.int64), reduction="none")

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Put the global batch's keys at the front of the queue."""
        keys = seen.rows["keys"].to(self.queue.dtype)
        self.queue.copy_(torch.cat([keys, self.queue])[:len(self.queue)])
        self.filled.add_(len(keys)).clamp_(max=len(self.queue))
