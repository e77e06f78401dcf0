"""Balanced contrastive learning (Zhu et al., 2022)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, cast

import torch
from torch import Tensor, nn

import ltbench
from ltbench_contrastive.branches import CIFAR, IMAGENET, INAT, WIDE, Classifier, TwoBranches, Width, classified
from ltbench_contrastive.projection import ProjectingHead, Projector

_WIDE = {**WIDE, "classification": 1.0, "contrast": 0.35}
_SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cifar10-lt": (CIFAR, {}), "cifar100-lt": (CIFAR, {}), "imagenet-lt": (IMAGENET, _WIDE),
    "inat18": ({**INAT, "epochs": 100}, _WIDE),
}


def balanced_losses(projections: Tensor, labels: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    """Return the balanced contrastive loss of every projection as an anchor, shape (N,).

    Each class counts in the denominator with the mean over its members (class averaging), one of which is its prototype, so that
    no class is absent (class complement). The anchor is no member of its own class.

    Args:
        projections: Of all views, length 1, shape (N, d).
        labels: Shape (N,).
        prototypes: Length 1, shape (C, d).
        temperature: tau.
    """
    classes = torch.arange(len(prototypes), device=labels.device)
    members = torch.cat([labels, classes])  # of each key
    with torch.autocast(projections.device.type, enabled=False):
        scores = projections @ torch.cat([projections, prototypes]).T / temperature  # (N, N + C)
        itself = torch.eye(*scores.shape, dtype=torch.bool, device=scores.device)
        positive = ((labels[:, None] == members) & ~itself).to(scores.dtype)
        sizes = torch.zeros_like(scores[0, :len(prototypes)]).index_add_(0, members, torch.ones_like(scores[0]))[members]
        averaged = (scores - (sizes - positive).log()).masked_fill(itself, -torch.inf)  # own class: one member less
        return averaged.logsumexp(dim=1) - (scores * positive).sum(dim=1) / positive.sum(dim=1)


class PrototypeHead(ProjectingHead):
    """Classify an embedding; project it, and the classifier's weight vectors as the prototypes of the classes.

    Args:
        classifier: With ``weight``, shape (C, D).
        sizes: D, the hidden layer's width, d.
    """

    def __init__(self, classifier: nn.Module, sizes: tuple[int, int, int]) -> None:
        super().__init__(classifier, Projector(*sizes, batch_norm=True))
        self.complement = Projector(*sizes, batch_norm=True)

    def prototypes(self) -> Tensor:
        """Return c, shape (C, d)."""
        return cast(Tensor, self.complement(self.classifier.weight))


class BalancedContrast(TwoBranches):
    """Classify one view with compensated logits; contrast two others so that every class counts alike.

    In supervised contrastive learning a batch's large classes push hardest, and small ones are seldom there.

    Args:
        classification: lambda, the weight of the classification; that of the contrast is mu.
    """

    name = "bcl"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, classification: ltbench.Positive = 2.0,
                 contrast: Annotated[ltbench.NonNegative, ltbench.Uniform(0.1, 2.0)] = 0.6,
                 temperature: Annotated[ltbench.Positive, ltbench.LogUniform(0.05, 0.5)] = 0.1, tau: ltbench.NonNegative = 1.0,
                 hidden: Width = 512, dim: Width = 128, classifier: Classifier = "linear") -> None:
        super().__init__(facts, contrast=contrast, temperature=temperature, tau=tau, hidden=hidden, dim=dim,
                         classifier=classifier)
        self.classification = classification

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the settings of the card: on large images the public code's."""
        if task.dataset not in _SETTINGS:
            return None
        protocol, hyperparameters = _SETTINGS[task.dataset]
        alternatives = {"backbone": ("timm:resnet50",)} if task.dataset == "imagenet-lt" else {}
        return ltbench.PaperSetting(protocol=protocol, hyperparameters=hyperparameters, alternatives=alternatives)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the classifier, whose weight vectors become prototypes, with both projections beside it."""
        return PrototypeHead(make.classifier(), (make.feature_dim, *self.sizes))

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Weigh both losses; what is contrasted are the images of all processes, which all project alike."""
        step, others = classified(ctx, batches["main"])
        head = cast(PrototypeHead, ctx.engine.head)
        embedding, labels = ctx.gather(others), ctx.gather(batches["main"].labels)  # (G, 2, D), (G,)
        contrast = balanced_losses(head.projector(embedding.flatten(0, 1)), labels.repeat_interleave(2), head.prototypes(),
                                   self.temperature).mean()
        return dataclasses.replace(step, loss=self.classification * step.loss + self.contrast * contrast,
                                   logs={"classification": step.loss, "contrast": contrast})
