"""Parametric contrastive learning, PaCo (Cui et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import nn

import ltbench
from ltbench_contrastive.branches import own_rows
from ltbench_contrastive.parametric import ParametricContrast, Second, Size
from ltbench_contrastive.projection import Projector

SGD: dict[str, Any] = {"optimizer": "sgd", "momentum": 0.9, "batch_size": 128, "epochs": 400, "warmup": 0.025,
                       "weight_decay": 5e-4}
CIFAR = {**SGD, "backbone": "resnet32", "lr": 0.05, "schedule": "step", "milestones": (0.8, 0.9), "gamma": 0.1,
         "augmentation": ("crop", "flip", "autoaugment", "cutout")}
LARGE = {**SGD, "schedule": "cosine", "augmentation": ("random_resized_crop", "flip", "jitter", "randaugment(n=2,m=10)")}
_STACK = ("random_resized_crop", "flip", "jitter", "grayscale", "gaussian_blur", "randaugment(n=2,m=10)")
_WIDE = {"alpha": 0.05, "queue": 8192, "dim": 128, "second": "sim"}
_SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cifar100-lt": (CIFAR, {}),
    "imagenet-lt": ({**LARGE, "backbone": "timm:resnext50_32x4d", "lr": 0.02, "augmentation": _STACK},
                    {**_WIDE, "temperature": 0.07}),
    "inat18": ({**LARGE, "backbone": "timm:resnet50", "lr": 0.02, "weight_decay": 1e-4}, {**_WIDE, "temperature": 0.2}),
}


class PaCo(ParametricContrast):
    """Contrast an image with the keys of a momentum encoder and of a queue, and with the learned centers of all classes.

    Args:
        momentum: Of the encoder that makes the keys.
    """

    name = "paco"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, alpha: Annotated[ltbench.NonNegative, ltbench.LogUniform(0.002, 0.2)] = 0.01,
                 temperature: Annotated[ltbench.Positive, ltbench.LogUniform(0.02, 0.5)] = 0.05, queue: Size = 1024,
                 dim: Size = 32, momentum: Annotated[float, ltbench.Interval(ge=0, lt=1)] = 0.999,
                 second: Second = "simclr") -> None:
        super().__init__(facts, alpha=alpha, temperature=temperature, queue=queue, dim=dim, second=second)
        self.momentum = momentum
        self.key_backbone: nn.Module = nn.Identity()
        self.key_projector: nn.Module = nn.Identity()

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting: 400 epochs everywhere."""
        if task.dataset not in _SETTINGS:
            return None
        protocol, hyperparameters = _SETTINGS[task.dataset]
        return ltbench.PaperSetting(protocol=protocol, hyperparameters=hyperparameters)

    def projector(self, feature_dim: int) -> nn.Module:
        """Return two layers with batch norm between."""
        return Projector(feature_dim, feature_dim, self.dim, batch_norm=True)

    def setup(self, ctx: ltbench.Context) -> None:
        """Let the encoder of keys follow that of queries."""
        self.key_backbone = ctx.ema_of(ctx.engine.backbone, self.momentum)
        self.key_projector = ctx.ema_of(self.head(ctx).projector, self.momentum)

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Contrast the first view with the second view's keys."""
        batch = batches["main"]
        output = ctx.forward(batch)
        queries = self.head(ctx).projector(ctx.gather(output.embedding))
        with torch.no_grad():
            keys = self.key_projector(ctx.gather(self.key_backbone(batch.views[1])))
        loss = self.contrasted(ctx, batch, output.logits, queries, keys)
        return ltbench.Step(loss, output, batch, rows={"keys": keys[own_rows(ctx, batch)]})
