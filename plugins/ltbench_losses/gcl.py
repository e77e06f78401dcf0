"""Gaussian clouded logit adjustment (Li et al., 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_losses import setting

_SIGMA = 1 / 3  # of the noise, so that hardly any is cut at 1


class GaussianClouded(ltbench.Method):
    """Lower the cosines of rarer classes by larger random amounts in training, so that these classes claim more room.

    Args:
        amplitude: Largest amount, of the rarest class, in cosine.
        scale: s, by which cosines become logits.
        margin: What is taken from the own class's cosine besides, always.
        noise: ``absolute`` lowers cosines only, as the public code does; ``signed`` raises them as often.
    """

    name = "gcl"
    stages = frozenset({1, 2})
    leaves = "cosine"
    cloud: Tensor

    def __init__(self, facts: ltbench.Facts, *, amplitude: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 1.0)] = 0.5,
                 scale: ltbench.Positive = 30.0, margin: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 0.5)] = 0.0,
                 noise: Literal["absolute", "signed"] = "absolute") -> None:
        super().__init__(facts)
        self.scale = scale
        self.margin = margin
        self.absolute = noise == "absolute"
        size = facts.log_counts.max() - facts.log_counts  # log n_max - log n_k
        self.register_buffer("cloud", (amplitude * size / size.max() if size.any() else size).float())  # (C,); alike: none

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's first stage on CIFAR, which mixes images."""
        return setting.on_cifar(task, companions=("mixup",), batch_size=64, gamma=0.1)

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return a scaled cosine classifier; prediction reads it as it is."""
        return ltbench.CosineClassifier(feature_dim, num_classes, self.scale)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy with the own logit lowered by the fixed margin, shape (B,)."""
        own = labels[:, None]
        lowered = logits.gather(1, own) - self.scale * self.margin
        return F.cross_entropy(logits.scatter(1, own, lowered), labels, reduction="none")

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Return the loss of the clouded logits."""
        batch = ctx.mix(batches["main"])
        output = ctx.forward(batch)
        logits = output.logits.float()  # near 30, bfloat16 steps by 0.125
        return ltbench.Step(ctx.loss(logits - self.scale * self.drawn(ctx, batch), batch), output, batch)

    def drawn(self, ctx: ltbench.Context, batch: ltbench.Batch) -> Tensor:
        """Return what is taken from each cosine, shape (B, C): noise within [-1, 1] times the size of the class's cloud."""
        noise = _SIGMA * torch.randn(len(batch.global_labels), len(self.cloud), generator=ctx.generator)  # (G, C)
        rows = batch.rows_of(noise).clamp(-1, 1)
        return (rows.abs() if self.absolute else rows) * self.cloud
