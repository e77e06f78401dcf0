"""A classified view beside contrasted ones: what BCL (Zhu et al., 2022) and ProCo (Du et al., 2024) share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench

Width = Annotated[int, ltbench.Interval(ge=1)]
Classifier = Literal["linear", "cosine"]

# SimCLR's view as Zhu et al. (2022) and Du et al. (2024) have it: windows down to .08 of the image, no blur.
SIM = ("random_resized_crop", "flip", "jitter(hue=0.1,p=0.8)", "grayscale(p=0.2)")

_SGD: dict[str, Any] = {"optimizer": "sgd", "momentum": 0.9, "batch_size": 256}
CIFAR = {**_SGD, "backbone": "resnet32", "epochs": 200, "lr": 0.15, "weight_decay": 5e-4, "schedule": "step",
         "milestones": (0.8, 0.9), "gamma": 0.1, "warmup": 0.025, "augmentation": ("crop", "flip", "autoaugment", "cutout")}
_LARGE = {**_SGD, "epochs": 90, "schedule": "cosine", "warmup": 0.0,
          "augmentation": ("random_resized_crop", "flip", "jitter", "randaugment(n=2,m=10)")}
IMAGENET = {**_LARGE, "backbone": "timm:resnext50_32x4d", "lr": 0.1, "weight_decay": 5e-4}
INAT = {**_LARGE, "backbone": "timm:resnet50", "lr": 0.2, "weight_decay": 1e-4}
WIDE = {"temperature": 0.07, "hidden": 2048, "dim": 1024, "classifier": "cosine"}


class TwoBranches(ltbench.Method):
    """Classify one view with compensated logits, and contrast two others.

    Args:
        contrast: Weight of the contrast.
        temperature: Of its similarities.
        tau: Strength of the logit compensation by the log class prior; 0 is plain cross-entropy.
        hidden: Width of the projections' hidden layer.
        dim: d, of the projections.
        classifier: ``linear``, or ``cosine`` with scale 30, as on large images.
    """

    shift: Tensor

    def __init__(self, facts: ltbench.Facts, *, contrast: float, temperature: float, tau: float, hidden: int, dim: int,
                 classifier: str) -> None:
        super().__init__(facts)
        self.contrast = contrast
        self.temperature = temperature
        self.sizes = (hidden, dim)
        self.leaves = classifier
        self.register_buffer("shift", (tau * facts.log_prior).float())  # (C,)

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return the classifier."""
        kind = ltbench.CosineClassifier if self.leaves == "cosine" else nn.Linear
        return kind(feature_dim, num_classes)

    def views(self, ctx: ltbench.Context) -> tuple[tuple[str, ...], ...]:
        """Return the protocol's view, which is classified, and two of contrastive learning."""
        return (ctx.protocol.augmentation, SIM, SIM)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy of the compensated logits, shape (B,)."""
        return F.cross_entropy(logits + self.shift, labels, reduction="none")


def classified(ctx: ltbench.Context, batch: ltbench.Batch) -> tuple[ltbench.Step, Tensor]:
    """Return the step of the first view and the embeddings of the others, shape (B, V, D), from one pass of the network.

    The first view may be mixed, and its loss is the stack's; the others are as drawn. Batch norm sees all of them together.
    """
    mixed = ctx.mix(batch)
    if mixed.images is None:
        raise TypeError("views are made of images")
    size = len(batch.labels)
    everything = ctx.forward(torch.cat([mixed.images, *batch.views[1:]]))
    output = ltbench.Output(everything.embedding[:size], everything.features[:size], everything.logits[:size],
                            {name: rows[:size] for name, rows in everything.extra.items()})
    others = everything.embedding[size:].view(-1, size, everything.embedding.shape[1]).transpose(0, 1)
    return ltbench.Step(ctx.loss(output.logits, mixed), output, mixed), others

def own_rows(ctx: ltbench.Context, batch: ltbench.Batch) -> Tensor:
    """Return where this process's rows stand among gathered ones, shape (B,), without waiting for the device."""
    first = ctx.gather(torch.full_like(batch.labels, batch.first))
    return (first == batch.first).int().argmax() + torch.arange(len(batch.labels), device=first.device)
