"""Attraction-repulsion-balanced loss (Xie et al., 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench
from ltbench_losses import setting


class AttractionRepulsionBalanced(ltbench.Method):
    """Weigh class j in the softmax of an image of class i by n_j / n_i, so that any two classes repel each other alike.

    Args:
        counts: Where the n_k are counted: in every global ``batch`` anew, in which a class without images then repels nobody, or
            over ``all`` training images, which is the balanced softmax.
    """

    name = "arb"
    stages = frozenset({1, 2})
    log_counts: Tensor

    def __init__(self, facts: ltbench.Facts, *, counts: Literal["batch", "all"] = "batch") -> None:
        super().__init__(facts)
        self.of_batch = counts == "batch"
        self.register_buffer("log_counts", facts.log_counts.float())  # (C,)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting on CIFAR, whose rate falls once, to a tenth."""
        return setting.on_cifar(task, milestones=(0.8,), gamma=0.1)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy, shape (B,). Owning it says that no other loss may take part: classes are missing from it."""
        return F.cross_entropy(logits, labels, reduction="none")

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Return the loss of z_j + log n_j: the factor 1 / n_i stands above and below."""
        batch = ctx.mix(batches["main"])
        output = ctx.forward(batch)
        logits = output.logits.float() + self.shift(batch)
        return ltbench.Step(ctx.loss(logits, batch), output, batch)

    def shift(self, batch: ltbench.Batch) -> Tensor:
        """Return log n_k, shape (C,); minus infinity for a class that the global batch has no image of."""
        if not self.of_batch:
            return self.log_counts
        labels = batch.global_labels
        ones = torch.ones(len(labels), device=labels.device)
        return torch.zeros_like(self.log_counts).index_add_(0, labels, ones).log()
