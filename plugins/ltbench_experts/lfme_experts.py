"""The experts of learning from multiple experts, LFME (Xiang et al., 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

import ltbench
from ltbench_experts.divergence import NEVER
from ltbench_experts.shots import of_the_first, own_classes, streams_of

LARGE: dict[str, Any] = {"backbone": "resnet10", "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4,
                         "warmup": 0.0, "augmentation": ("random_resized_crop", "flip", "jitter")}


class ShotHead(ltbench.ExpertHead):
    """Let every expert speak for its own classes alone: the logit of a class is that of the expert that has learned it.

    Args:
        classifiers: Each from features (B, d) to logits (B, C).
        own: Which classes an expert has learned, bool, shape (E, C); every class belongs to one.
    """

    own: Tensor

    def __init__(self, classifiers: Sequence[nn.Module], own: Tensor) -> None:
        super().__init__(classifiers)
        self.register_buffer("own", own)

    def forward(self, embedding: Tensor) -> ltbench.Output:
        """Return the joined logits; ``extra`` is that of :class:`ltbench.ExpertHead`."""
        output = super().forward(embedding)
        output.logits = output.extra["expert_logits"].masked_fill(~self.own, 0).sum(dim=1)
        return output


class ShotExperts(ltbench.Method):
    """Train a whole network on the classes with many, one on those with medium, and one on those with few images.

    Each sees the images of its own classes alone, and tells apart no others. The classes of one expert differ less in their
    number of images than all do. ``lfme`` makes one network of them.
    """

    name = "lfme_experts"
    stages = frozenset({1})
    leaves = "ShotHead"

    own: Tensor

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.register_buffer("own", own_classes(facts.class_counts))  # (E, C)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting; its batch is that of the largest expert."""
        if task.dataset != "imagenet-lt":
            return None
        return ltbench.PaperSetting(protocol={**LARGE, "epochs": 120, "batch_size": 128, "schedule": "cosine"})

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        """Return whole networks that share nothing."""
        return ltbench.ExpertBackbone([make.full(), *(make.another() for _ in self.own[1:])], make.feature_dim)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return one classifier a network."""
        return ShotHead([make.classifier(make.feature_dim // len(self.own)) for _ in self.own], self.own)

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the images of each expert's own classes."""
        return streams_of(self.own)

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Sum the losses of the networks, each on its own images and over its own classes."""
        head = cast(ShotHead, ctx.engine.head)
        experts = cast(ltbench.ExpertBackbone, ctx.engine.backbone).experts
        mixed = [ctx.mix(batch) for batch in batches.values()]
        features = [expert(batch.images) for expert, batch in zip(experts, mixed, strict=True)]
        logits = [classify(part) for classify, part in zip(head.classifiers, features, strict=True)]
        losses = [ctx.loss(each.masked_fill(~own, NEVER), batch)
                  for each, own, batch in zip(logits, self.own, mixed, strict=True)]
        output = of_the_first(features[0], logits[0], self.own)
        logs = {f"loss_{name}": loss for name, loss in zip(batches, losses, strict=True)}
        return ltbench.Step(torch.stack(losses).sum(), output, mixed[0], logs)
