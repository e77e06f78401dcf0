"""Mixup with label-aware smoothing and shifted batch norm, MiSLAS: its second stage (Zhong et al., 2021, sections 3.2 and 3.3).

The first stage is plain mixup: ``mixup/mislas``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

import ltbench

Head = Annotated[float, ltbench.Interval(ge=0, lt=1), ltbench.Uniform(0.1, 0.5)]
Tail = Annotated[float, ltbench.Interval(ge=0, lt=1), ltbench.Uniform(0.0, 0.1)]
Form = Literal["concave", "linear", "convex"]

_CIFAR: dict[str, Any] = {
    "epochs": 200, "batch_size": 128, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4, "schedule": "step",
    "milestones": (0.8, 0.9), "gamma": 0.1, "warmup": 0.025, "augmentation": ("crop", "flip"),
}
_LARGE: dict[str, Any] = {
    "backbone": "timm:resnet50", "batch_size": 256, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "schedule": "cosine",
    "warmup": 0.0, "augmentation": ("random_resized_crop", "flip", "jitter"),
}
# The public configurations, one for each dataset and ratio.
_FIRST: dict[str, tuple[str, dict[str, Any]]] = {
    "cifar10-lt": ("mixup", _CIFAR),
    "cifar100-lt": ("mixup", _CIFAR),
    "imagenet-lt": ("mixup(alpha=0.2)", {**_LARGE, "epochs": 180, "weight_decay": 5e-4}),
    "inat18": ("mixup(alpha=0.2)", {**_LARGE, "epochs": 200, "weight_decay": 1e-4}),
}
_SECOND: dict[str, dict[float | None, tuple[float, float, float]]] = {  # ratio -> smooth_head, smooth_tail, classifier_rate
    "cifar10-lt": {100: (0.3, 0.0, 0.5), 50: (0.2, 0.0, 0.2), 10: (0.1, 0.0, 0.2)},
    "cifar100-lt": {100: (0.4, 0.1, 0.2), 50: (0.3, 0.0, 0.1), 10: (0.2, 0.0, 0.1)},
    "imagenet-lt": {None: (0.3, 0.0, 0.05)},
    "inat18": {None: (0.3, 0.0, 0.05)},
}


class TunedClassifier(nn.Module):
    """Go on with a linear classifier, whose logits are multiplied class by class (section 3.2).

    Args:
        linear: Trained further.

    Attributes:
        scales: s, shape (C,), ones at the start.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        self.scales = nn.Parameter(torch.ones_like(linear.weight[:, 0]))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, shape (B, C)."""
        logits: Tensor = self.linear(features)
        return self.scales * logits


class MiSLAS(ltbench.ReusedClassifier):
    """Fine-tune the classifier, class-balanced, on labels that are smoothed the more, the larger their class.

    A network is the most overconfident about large classes. Meanwhile batch norm's statistics follow the class-balanced images.

    Args:
        smooth_head: Probability that the largest class gives away to the others.
        smooth_tail: Probability that the smallest class gives away; at most ``smooth_head``.
        form: How smoothing grows with the size of a class, between the two.
        shift_batch_norm: Whether running statistics of the frozen backbone follow the images of this stage.
        classifier_rate: Learning rate of the classifier that was trained before, relative to that of the scales.
    """

    name = "mislas"
    below = "mixup"
    leaves = "TunedClassifier"

    smoothing: Tensor

    def __init__(self, facts: ltbench.Facts, *, smooth_head: Head = 0.4, smooth_tail: Tail = 0.1,
                 form: Form = "concave", shift_batch_norm: bool = True,
                 classifier_rate: Annotated[ltbench.Positive, ltbench.LogUniform(0.01, 1.0)] = 0.2) -> None:
        super().__init__(facts, inputs="images")
        if smooth_tail > smooth_head:
            raise ValueError(f"smooth_tail must be <= smooth_head ({smooth_head}), got {smooth_tail}")
        self.backbone = "drifting" if shift_batch_norm else "frozen"
        self.classifier_rate = classifier_rate
        self.register_buffer("smoothing", smooth_tail + (smooth_head - smooth_tail) * growth(facts.class_counts, form).float())

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting, for the ratios that it has one for."""
        values = _SECOND.get(task.dataset, {}).get(task.imbalance_ratio)
        if values is None:
            return None
        stage1, first = _FIRST[task.dataset]
        protocol = {"stage2_draws": 10.0, "stage2_batch_size": first["batch_size"], "stage2_lr": 0.1,
                    "stage2_weight_decay": first["weight_decay"], "stage2_schedule": "cosine",
                    **{name: first[name] for name in ("optimizer", "momentum", "augmentation")}}
        hyperparameters = dict(zip(("smooth_head", "smooth_tail", "classifier_rate"), values, strict=True))
        return ltbench.PaperSetting(protocol=protocol, stage1=stage1, stage1_protocol=first, hyperparameters={
            **hyperparameters, "shift_batch_norm": task.dataset != "cifar10-lt"})

    def reuse(self, linear: nn.Linear) -> nn.Module:
        """Return the classifier with scales, all of it trained."""
        return TunedClassifier(linear.requires_grad_(True))

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the class-balanced stream."""
        return {"main": ltbench.ClassBalanced()}

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy against q: 1 - f(n_y) on the label, f(n_y) / (C - 1) on each other class, shape (B,)."""
        log_probs = logits.log_softmax(dim=1)  # (B, C)
        given_away = self.smoothing[labels]  # (B,)
        own = log_probs.gather(1, labels[:, None]).squeeze(1)  # (B,)
        others = (log_probs.sum(dim=1) - own) / max(log_probs.shape[1] - 1, 1)
        return -(1 - given_away) * own - given_away * others

    def parameter_groups(self, ctx: ltbench.Context) -> list[ltbench.ParameterGroup]:
        """Return the classifier at a smaller rate: the scales have the stage's own."""
        linear = ctx.classifier(TunedClassifier).linear
        return [ltbench.ParameterGroup(list(linear.parameters()), lr=self.classifier_rate * ctx.protocol.stage2_lr)]


def growth(counts: Tensor, form: Form) -> Tensor:
    """Return how far each class's smoothing is from the tail's to the head's, from 0 to 1, shape (C,) (section 3.2).

    Args:
        counts: Training images of each class, shape (C,); classes of one size are all head.
        form: Of the curve.
    """
    counts = counts.double()
    span = counts.max() - counts.min()
    position = (counts - counts.min()) / span if span > 0 else torch.ones_like(counts)
    angle = position * (math.pi / 2)
    return {"concave": angle.sin(), "linear": position, "convex": 1 - angle.cos()}[form]
