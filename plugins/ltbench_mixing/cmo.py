"""Context-rich minority oversampling, CMO (Park et al., 2022, section 3)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch

import ltbench
from ltbench_mixing.patch import span

_SGD: dict[str, Any] = {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4, "schedule": "step"}
_LARGE: dict[str, Any] = {**_SGD, "backbone": "timm:resnet50", "epochs": 100, "warmup": 0.05, "gamma": 0.1}
# The public code's commands and options.
_PROTOCOLS: dict[str, dict[str, Any]] = {
    "cifar100-lt": {**_SGD, "epochs": 200, "batch_size": 128, "milestones": (0.8, 0.9), "gamma": 0.01, "warmup": 0.025,
                    "augmentation": ("crop", "flip")},
    "imagenet-lt": {**_LARGE, "batch_size": 128, "milestones": (0.6, 0.8),
                    "augmentation": ("random_resized_crop", "flip", "jitter")},
    "inat18": {**_LARGE, "batch_size": 256, "milestones": (0.75,), "augmentation": ("random_resized_crop", "flip")},
}


class ContextRichOversampling(ltbench.Method):
    """Paste a patch of a rare class's image onto an image as it comes, so that rare objects are seen in rich surroundings.

    Args:
        alpha: Both parameters of the Beta distribution of the part that is kept.
        probability: That a batch is pasted onto.
        plain_epochs: How many epochs at the beginning, and how many at the end, are left without pasting.
        foregrounds: Whether all classes are as frequent among them, as in the public code, or class k is by 1 / n_k, the printed
            q(1, k).
    """

    name = "cmo"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, alpha: ltbench.Positive = 1.0,
                 probability: Annotated[ltbench.Fraction, ltbench.Uniform(0.0, 1.0)] = 0.5,
                 plain_epochs: Annotated[int, ltbench.Interval(ge=0)] = 0,
                 foregrounds: Literal["class_balanced", "class_reversed"] = "class_balanced") -> None:
        super().__init__(facts)
        self.alpha = alpha
        self.probability = probability
        self.plain_epochs = plain_epochs
        self.foregrounds = foregrounds

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting, which leaves three epochs plain at either end."""
        protocol = _PROTOCOLS.get(task.dataset)
        return None if protocol is None else ltbench.PaperSetting(protocol=protocol, hyperparameters={"plain_epochs": 3})

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the stream of backgrounds, as they come, and that of foregrounds."""
        rare = ltbench.ClassBalanced() if self.foregrounds == "class_balanced" else ltbench.ClassReversed()
        return {"main": ltbench.InstanceBalanced(), "rare": rare}

    def mix(self, ctx: ltbench.Context, batch: ltbench.Batch) -> ltbench.Batch:
        """Return the batch as it is: owning this says that no other method may mix what the step mixes already."""
        return batch

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Return the loss of the backgrounds, or of backgrounds with patches and of both their labels."""
        main, rare = batches["main"], batches["rare"]
        pasting = self.plain_epochs <= ctx.epoch < self.facts.epochs - self.plain_epochs
        if torch.rand((), generator=ctx.generator) >= self.probability or not pasting:
            return ctx.default_step(main)
        if main.images is None or rare.images is None:
            raise ValueError("mixing needs images, got a batch without")
        height, width = main.images.shape[-2:]
        side = math.sqrt(1 - ctx.draw_beta(self.alpha, self.alpha))
        rows, columns = span(height, side, ctx.generator), span(width, side, ctx.generator)
        images = main.images.clone()
        images[..., rows, columns] = rare.images[..., rows, columns]
        kept = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)  # lambda
        mixed = dataclasses.replace(main, images=images, targets=[(main.labels, kept), (rare.labels, 1 - kept)])
        output = ctx.forward(mixed)
        # Each part is weighted by its own classes' weights, where the stack has any.
        loss = kept * ctx.loss(output.logits, main) + (1 - kept) * ctx.loss(output.logits, rare)
        return ltbench.Step(loss, output, mixed)
