"""Probabilistic contrastive learning, ProCo (Du et al., 2024)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_contrastive.branches import CIFAR, IMAGENET, INAT, WIDE, Classifier, TwoBranches, Width, classified, own_rows
from ltbench_contrastive.projection import ProjectingHead, Projector
from ltbench_contrastive.von_mises_fisher import concentrations, log_mean_exp

_CIFAR = {**CIFAR, "lr": 0.3, "weight_decay": 2e-4}
_LONGER = {"epochs": {400: {"milestones": (0.9, 0.95)}}}
_SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "cifar10-lt": (_CIFAR, {}, _LONGER), "cifar100-lt": (_CIFAR, {}, _LONGER),
    "imagenet-lt": (IMAGENET, WIDE, {"backbone": ("timm:resnet50",), "epochs": (180,)}),
    "inat18": (INAT, WIDE, {}),
}


class ProCo(TwoBranches):
    """Contrast an image with all that its class and the others may look like, by the distributions of their projections.

    With von Mises-Fisher distributions a contrast with endlessly many draws has a closed form. Means and concentrations are
    estimated from the epoch before and from what is behind of the present one.
    """

    name = "proco"
    stages = frozenset({1})
    sums: Tensor
    counts: Tensor

    def __init__(self, facts: ltbench.Facts, *, contrast: Annotated[ltbench.NonNegative, ltbench.Uniform(0.1, 3.0)] = 1.0,
                 temperature: Annotated[ltbench.Positive, ltbench.LogUniform(0.02, 0.5)] = 0.1, tau: ltbench.NonNegative = 1.0,
                 hidden: Width = 512, dim: Annotated[int, ltbench.Interval(ge=8)] = 128,
                 classifier: Classifier = "linear") -> None:
        super().__init__(facts, contrast=contrast, temperature=temperature, tau=tau, hidden=hidden, dim=dim,
                         classifier=classifier)
        # Of the epoch before and of the present one. Both are state: without them a restart would begin with no distribution.
        self.register_buffer("sums", torch.zeros(2, facts.num_classes, dim))
        self.register_buffer("counts", torch.zeros(2, facts.num_classes))

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting."""
        if task.dataset not in _SETTINGS:
            return None
        protocol, hyperparameters, alternatives = _SETTINGS[task.dataset]
        return ltbench.PaperSetting(protocol=protocol, hyperparameters=hyperparameters, alternatives=alternatives)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the classifier with the projection beside it."""
        return ProjectingHead(make.classifier(), Projector(make.feature_dim, *self.sizes, batch_norm=True))

    def distributions(self) -> tuple[Tensor, Tensor]:
        """Return mu, shape (C, d), and kappa, shape (C,); a class that was not seen may be anywhere: kappa 0."""
        means = self.sums.sum(dim=0) / self.counts.sum(dim=0).clamp_min(1)[:, None]
        return F.normalize(means, dim=1), concentrations(means.norm(dim=1), means.shape[1])

    def start_epoch(self, ctx: ltbench.Context) -> None:
        """Let the last epoch's projections be those of the epoch before."""
        for buffer in (self.sums, self.counts):
            buffer.copy_(torch.stack([buffer[1], torch.zeros_like(buffer[1])]))

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Classify the first view; classify the projections of both others by the distributions, with the same prior."""
        batch = batches["main"]
        step, others = classified(ctx, batch)
        projector = cast(ProjectingHead, ctx.engine.head).projector
        projections = projector(ctx.gather(others).flatten(0, 1)).unflatten(0, (-1, 2))[own_rows(ctx, batch)]  # (B, 2, d)
        directions, kappa = self.distributions()
        contrast = torch.stack([ctx.loss(log_mean_exp(view, directions, kappa, self.temperature), batch)
                                for view in projections.unbind(dim=1)]).mean()
        return dataclasses.replace(step, loss=step.loss + self.contrast * contrast, rows={"projections": projections.detach()},
                                   logs={"classification": step.loss, "contrast": contrast})

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Count the global batch's projections, of both views, with their classes."""
        # A product adds in one order, on every device and every process; index_add_ need not.
        classes = torch.arange(self.facts.num_classes, device=seen.labels.device)
        members = (seen.labels == classes[:, None]).to(self.sums.dtype)  # (C, G)
        self.sums[1] += members @ seen.rows["projections"].sum(dim=1)
        self.counts[1] += seen.rows["projections"].shape[1] * members.sum(dim=1)
