"""Routing diverse distribution-aware experts, RIDE, without the routing (Wang et al., 2021, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench

_CIFAR: dict[str, Any] = {
    "epochs": 200, "batch_size": 128, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "schedule": "step",
    "milestones": (0.8, 0.9), "gamma": 0.01, "warmup": 0.025, "augmentation": ("crop", "flip", "rotation"),
}
_LARGE: dict[str, Any] = {"epochs": 100, "optimizer": "sgd", "momentum": 0.9, "weight_decay": 2e-4, "schedule": "step",
                          "milestones": (0.6, 0.8), "gamma": 0.1, "warmup": 0.05}
# Of the public configurations: only that of CIFAR-100 names a diversity factor, the others leave it at the loss's own .2.
_SETTINGS: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    "cifar100-lt": (_CIFAR, {}),
    "imagenet-lt": ({**_LARGE, "backbone": "timm:resnext50_32x4d", "batch_size": 256, "lr": 0.1},
                    {"diversity": 0.2, "awareness": 0.02}),
    "inat18": ({**_LARGE, "backbone": "timm:resnet50", "batch_size": 512, "lr": 0.2}, {"diversity": 0.2, "awareness": 0.015}),
}


class RoutedExperts(ltbench.Method):
    """Train experts on one trunk, each by the stack's own criterion, and keep their opinions apart; predict by their mean.

    Several experts lower the variance; a diversity loss keeps them from becoming one. The paper adds ``ldam`` and ``drw``.

    Args:
        experts: E, at least 2.
        width: Of an expert's own stages, as a fraction of the backbone's.
        stages: How many of the backbone's last stages an expert has for itself.
        diversity: lambda, of the divergence between experts and their mean.
        temperature: alpha, of the compared distributions.
        awareness: gamma, by how much the temperature falls from the largest to smaller classes; 0 is one for all.
        aware_from: Fraction of the training after which it does, as in the public code; 0 is always, as in the paper.
    """

    name = "ride"
    stages = frozenset({1})
    leaves = "ExpertHead"
    temperatures: Tensor

    def __init__(self, facts: ltbench.Facts, *, experts: Annotated[int, ltbench.Interval(ge=2)] = 3,
                 width: ltbench.Positive = 0.75, stages: Annotated[int, ltbench.Interval(ge=1, le=2)] = 2,
                 diversity: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 1.0)] = 0.45,
                 temperature: ltbench.Positive = 1.0,
                 awareness: Annotated[ltbench.Fraction, ltbench.LogUniform(5e-3, 0.5)] = 0.05,
                 aware_from: ltbench.Fraction = 0.8) -> None:
        super().__init__(facts)
        self.experts = experts
        self.width = width
        self.own_stages = stages
        self.diversity = diversity
        self.temperature = temperature
        self.aware_from = aware_from
        counts = facts.class_counts.double().clamp_min(1)
        relative = awareness * counts / counts.mean() + 1 - awareness  # beta_k
        # Divided by the largest, as the public code does; less the largest, as in the paper, a temperature could fall below 0.
        self.register_buffer("temperatures", (temperature * relative / relative.max()).float())  # (C,)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting, with LDAM and deferred weights."""
        if task.dataset not in _SETTINGS:
            return None
        protocol, hyperparameters = _SETTINGS[task.dataset]
        return ltbench.PaperSetting(protocol=protocol, hyperparameters=hyperparameters, companions=("ldam", "drw"))

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        """Return the trunk with narrower last stages for each expert."""
        width = round(make.feature_dim * self.width)
        experts = [make.last_stage(self.width, self.own_stages) for _ in range(self.experts)]
        return ltbench.ExpertBackbone(experts, width, make.trunk(self.own_stages))

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return one classifier an expert, as the stack makes them."""
        return ltbench.ExpertHead([make.classifier(make.feature_dim // self.experts) for _ in range(self.experts)])

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Sum the losses of the experts, each on its own logits: a loss on the mean would let them lean on each other."""
        step = ctx.default_step(batches["main"])  # mixes and embeds; its loss on the mean logits is not used
        losses = [ctx.loss(logits, step.batch) for logits in step.output.extra["expert_logits"].unbind(dim=1)]
        return ltbench.Step(torch.stack(losses).sum(), step.output, step.batch)

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        """Return minus lambda times the summed divergence of the experts from their mean.

        The paper compares all pairs. As in the public code the mean stands for the other experts, without a gradient.
        """
        if self.diversity == 0:
            return {}
        each = step.output.extra["expert_logits"].float()  # (B, E, C)
        aware = ctx.progress >= self.aware_from
        temperature = self.temperatures if aware else torch.full_like(self.temperatures, self.temperature)
        mean = (step.output.logits.detach().float() / temperature).softmax(dim=1)
        own = (each / temperature).log_softmax(dim=2)
        divergence = F.kl_div(own, mean[:, None].expand_as(own), reduction="sum") / len(each)
        return {"diversity": -self.diversity * temperature.mean().square() * divergence}
