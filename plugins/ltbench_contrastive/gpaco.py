"""Generalized parametric contrastive learning, GPaCo (Cui et al., 2023)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import nn

import ltbench
from ltbench_contrastive.branches import own_rows
from ltbench_contrastive.paco import CIFAR, LARGE
from ltbench_contrastive.parametric import ParametricContrast, Second, Size
from ltbench_contrastive.projection import Projector

_WIDE = {"alpha": 0.05, "queue": 8192, "dim": 128, "temperature": 0.2}
_THREE = ("random_resized_crop", "flip", "jitter", "randaugment(n=3,m=10)")
_SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cifar100-lt": (CIFAR, {}),
    "imagenet-lt": ({**LARGE, "backbone": "timm:resnext50_32x4d", "lr": 0.06, "augmentation": _THREE},
                    {**_WIDE, "second": "stack"}),
    "inat18": ({**LARGE, "backbone": "timm:resnet50", "lr": 0.04, "weight_decay": 1e-4}, {**_WIDE, "second": "sim"}),
}


class GPaCo(ParametricContrast):
    """Do without PaCo's momentum encoder: both views pass through one network, both are classified, and gradients reach both."""

    name = "gpaco"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, alpha: Annotated[ltbench.NonNegative, ltbench.LogUniform(0.002, 0.2)] = 0.01,
                 temperature: Annotated[ltbench.Positive, ltbench.LogUniform(0.02, 0.5)] = 0.07, queue: Size = 1024,
                 dim: Size = 128, second: Second = "simclr") -> None:
        super().__init__(facts, alpha=alpha, temperature=temperature, queue=queue, dim=dim, second=second)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting; on CIFAR that of the balanced set, with PaCo's augmentation."""
        if task.dataset not in _SETTINGS:
            return None
        protocol, hyperparameters = _SETTINGS[task.dataset]
        return ltbench.PaperSetting(protocol=protocol, hyperparameters=hyperparameters)

    def projector(self, feature_dim: int) -> nn.Module:
        """Return three layers without batch norm."""
        return Projector(feature_dim, feature_dim, feature_dim, self.dim)

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Contrast both views with each other and with the queue; the second view's projections enter it.

        Each view passes alone, so that batch norm sees it as PaCo's encoders do.
        """
        batch = batches["main"]
        outputs = [ctx.forward(dataclasses.replace(batch, images=view)) for view in batch.views]
        first, second = (self.head(ctx).projector(ctx.gather(output.embedding)) for output in outputs)
        losses = [self.contrasted(ctx, batch, output.logits, own, other)
                  for output, own, other in zip(outputs, (first, second), (second, first), strict=True)]
        return ltbench.Step(torch.stack(losses).mean(), outputs[0], batch, rows={"keys": second[own_rows(ctx, batch)].detach()})
