"""Skill-diverse experts, SADE, without its test-time weighting (Zhang et al., 2022, section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor, nn

import ltbench

_CIFAR: dict[str, Any] = {
    "epochs": 200, "batch_size": 128, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "schedule": "step",
    "milestones": (0.8, 0.9), "gamma": 0.1, "warmup": 0.025, "augmentation": ("crop", "flip", "rotation"),
}
_IMAGENET: dict[str, Any] = {
    "backbone": "timm:resnext50_32x4d", "epochs": 180, "batch_size": 64, "optimizer": "sgd", "lr": 0.025, "momentum": 0.9,
    "weight_decay": 5e-4, "schedule": "cosine", "warmup": 0.0,
}
_INAT: dict[str, Any] = {
    "backbone": "timm:resnet50", "epochs": 100, "batch_size": 512, "optimizer": "sgd", "lr": 0.2, "momentum": 0.9,
    "weight_decay": 2e-4, "schedule": "step", "milestones": (0.6, 0.8), "gamma": 0.1, "warmup": 0.05,
}
_SETTINGS: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    "cifar100-lt": (_CIFAR, {}), "imagenet-lt": (_IMAGENET, {}), "inat18": (_INAT, {"tau": 1.0}),
}
_EXPERTS = 3


def mirrored(log_prior: Tensor) -> Tensor:
    """Give the largest class the log prior of the smallest, the second largest that of the second smallest, and so on.

    Classes of one size share the mean of what they would be given, so that their order does not matter.

    Args:
        log_prior: Shape (C,).
    """
    ascending, order = log_prior.sort()
    _, members = torch.unique_consecutive(ascending, return_inverse=True)
    given = torch.zeros_like(ascending).index_add(0, members, ascending.flip(0)) / members.bincount(minlength=len(members))
    return torch.empty_like(ascending).scatter(0, order, given[members])


class SkillDiverseExperts(ltbench.Method):
    """Train three experts on one trunk: for the training classes as they are, for equal ones, and for the reverse.

    Each is trained on logits shifted by a log prior and predicts by plain ones; the mean of their logits decides.

    Args:
        tau: lambda, by how much the third expert leans to small classes; 0 makes it the second.
        width: Of an expert's own stages, as a fraction of the backbone's.
        stages: How many of the backbone's last stages an expert has for itself.
        scale: By what cosines are multiplied.
    """

    name = "sade"
    stages = frozenset({1})
    leaves = "ExpertHead"
    shifts: Tensor

    def __init__(self, facts: ltbench.Facts, *, tau: Annotated[ltbench.NonNegative, ltbench.Uniform(0.5, 3.0)] = 2.0,
                 width: ltbench.Positive = 0.75, stages: Annotated[int, ltbench.Interval(ge=1, le=2)] = 2,
                 scale: ltbench.Positive = 30.0) -> None:
        super().__init__(facts)
        self.width = width
        self.own_stages = stages
        self.scale = scale
        log_prior = facts.log_prior
        shifts = [torch.zeros_like(log_prior), log_prior, log_prior - tau * mirrored(log_prior)]
        self.register_buffer("shifts", torch.stack(shifts).float())  # (3, C)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting."""
        if task.dataset not in _SETTINGS:
            return None
        protocol, hyperparameters = _SETTINGS[task.dataset]
        return ltbench.PaperSetting(protocol=protocol, hyperparameters=hyperparameters)

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        """Return the trunk with narrower last stages for each expert."""
        experts = [make.last_stage(self.width, self.own_stages) for _ in range(_EXPERTS)]
        return ltbench.ExpertBackbone(experts, round(make.feature_dim * self.width), make.trunk(self.own_stages))

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return a classifier by scaled cosines."""
        return ltbench.CosineClassifier(feature_dim, num_classes, self.scale)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return one classifier an expert."""
        return ltbench.ExpertHead([make.classifier(make.feature_dim // _EXPERTS) for _ in range(_EXPERTS)])

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Sum the experts' losses (eq. 1 to 3), each on its own shifted logits."""
        mixed = ctx.mix(batches["main"])
        output = ctx.forward(mixed)
        shifted = (output.extra["expert_logits"].float() + self.shifts).unbind(dim=1)
        losses = dict(zip(("forward", "uniform", "backward"), (ctx.loss(logits, mixed) for logits in shifted), strict=True))
        return ltbench.Step(torch.stack(list(losses.values())).sum(), output, mixed, logs=losses)
