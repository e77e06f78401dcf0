"""Mixup (Zhang et al., 2018, section 2)."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

import ltbench


class Mixup(ltbench.Method):
    """Train on convex combinations of pairs of images, with their labels in the same proportion.

    One proportion is drawn for each part of a batch, the same on every process; partners come from the same part.

    Args:
        alpha: Both parameters of the Beta distribution of the proportion: 1 is uniform, towards 0 hardly anything is mixed.
    """

    name = "mixup"
    stages = frozenset({1, 2})
    inputs = "images"

    def __init__(self, facts: ltbench.Facts, *, alpha: float = 1.0) -> None:
        super().__init__(facts)
        if not 0 < alpha < math.inf:
            raise ValueError(f"alpha must be > 0 and finite, got {alpha}")
        self.alpha = alpha

    def mix(self, ctx: ltbench.Context, batch: ltbench.Batch) -> ltbench.Batch:
        """Return the batch with its first view mixed and every target split in two; further views stay as drawn."""
        if batch.images is None:
            raise ValueError("mixing needs images, got a batch without")
        # torch's Beta takes no generator; numpy's does.
        seed = int(torch.randint(2**62, (), generator=ctx.generator))
        proportion = float(np.random.default_rng(seed).beta(self.alpha, self.alpha))
        partners = torch.randperm(len(batch.labels), generator=ctx.generator).to(batch.labels.device, non_blocking=True)
        images = proportion * batch.images + (1 - proportion) * batch.images[partners]
        targets = [(labels, proportion * weight) for labels, weight in batch.targets]
        targets += [(labels[partners], (1 - proportion) * (weight[partners] if isinstance(weight, torch.Tensor) else weight))
                    for labels, weight in batch.targets]
        return dataclasses.replace(batch, images=images, targets=targets)
