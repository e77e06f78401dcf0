"""Gaussian clouded logit adjustment (Li et al., "Long-tailed visual recognition via Gaussian clouded logit adjustment", 2022)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

import ltbench


class GaussianClouded(ltbench.Method):
    """Lower the cosines of rarer classes by larger random amounts in training, so that these classes claim more room.

    Args:
        scale: s, by what cosines are multiplied.
        sigma: Standard deviation of the noise, in cosines, before it is cut to [-1, 1].
    """

    name = "gaussian_clouded"
    stages = frozenset({1, 2})
    reference = "Li et al., 2022"

    cloud: Tensor

    def __init__(self, facts: ltbench.Facts, *, scale: ltbench.Positive = 30.0, sigma: ltbench.NonNegative = 1 / 3) -> None:
        super().__init__(facts)
        self.scale = scale
        self.sigma = sigma
        logs = facts.class_counts.float().log()
        size = logs.max() - logs  # log n_max - log n_k
        self.register_buffer("cloud", size / size.max() if size.any() else size)  # (C,); equal classes have none

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return a scaled cosine classifier; prediction reads it as it is."""
        return ltbench.CosineClassifier(feature_dim, num_classes, scale=self.scale)

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Return the loss of the clouded logits, by whatever criterion the stack has."""
        batch = ctx.mix(batches["main"])
        output = ctx.forward(batch)
        loss = ctx.loss(output.logits - self.scale * self.noise(ctx, batch), batch)
        return ltbench.Step(loss, output, batch)

    def noise(self, ctx: ltbench.Context, batch: ltbench.Batch) -> Tensor:
        """Return what is taken from each cosine, shape (B, C): |eps| times the size of the class's cloud."""
        eps = self.sigma * torch.randn(len(batch.global_labels), len(self.cloud), generator=ctx.generator)  # (G, C)
        return batch.rows_of(eps).clamp(-1, 1).abs() * self.cloud
