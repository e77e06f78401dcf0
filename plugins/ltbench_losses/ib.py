"""Influence-balanced loss (Park et al., 2021)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor

import ltbench
from ltbench_losses import setting

_EPSILON = 1e-3  # keeps the weight of a sample that is classified perfectly finite


def influence(logits: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    """Return norm_1(p - y) norm_1(h): the gradient of the cross-entropy on the classifier's weights, summed up, shape (B,).

    Args:
        logits: Shape (B, C).
        features: h, what the classifier reads, shape (B, d).
        labels: Shape (B,).
    """
    wrong = 1 - logits.softmax(dim=1).gather(1, labels[:, None])[:, 0]  # the others' probabilities sum to as much
    return 2 * wrong * features.abs().sum(dim=1)


class InfluenceBalanced(ltbench.Method):
    """Train as usual first, then divide each sample's loss by its influence on the classifier.

    A sample that alone bends the decision boundary, as one of a large class does where classes overlap, then counts for less.

    Args:
        alpha: By which all divided losses are multiplied.
        start: Fraction of the training after which losses are divided.
        balance: Whether classes are weighed by their inverse frequency then.
    """

    name = "ib"
    stages = frozenset({1})
    weights: Tensor

    def __init__(self, facts: ltbench.Facts, *, alpha: Annotated[ltbench.Positive, ltbench.LogUniform(1.0, 1000.0)] = 10.0,
                 start: ltbench.Fraction = 0.5, balance: bool = True) -> None:
        super().__init__(facts)
        self.alpha = alpha
        self.start = start
        inverse = 1 / facts.class_counts.double().clamp_min(1)
        weights = inverse * len(inverse) / inverse.sum() if balance else torch.ones_like(inverse)
        self.register_buffer("weights", weights.float())  # lambda_k, (C,)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting on CIFAR: the second phase begins at a hundredth of the rate."""
        return setting.on_cifar(task, {"alpha": 1000.0}, milestones=(0.5, 0.8, 0.9))

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Return the loss of the stack's criterion, each sample's divided by its influence once it is time."""
        step = ctx.default_step(batches["main"])
        if ctx.progress < self.start:
            return step
        output, batch = step.output, step.batch
        with torch.autocast(output.logits.device.type, enabled=False):
            targets: list[tuple[Tensor, float | Tensor]] = [
                (labels, share * self._weight(output, labels)) for labels, share in batch.targets]
            loss = ctx.loss(output.logits.float(), dataclasses.replace(batch, targets=targets))
        return ltbench.Step(loss, output, batch)

    def _weight(self, output: ltbench.Output, labels: Tensor) -> Tensor:
        # As printed, and as in the public code, the divisor is a part of the loss: gradients pass through it.
        return self.alpha * self.weights[labels] / (influence(output.logits.float(), output.features.float(), labels) + _EPSILON)
