"""Distributional robustness loss, DRO-LT (Samuel & Chechik, 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

import ltbench

Epsilon = Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 2.0)]
Weight = Annotated[ltbench.NonNegative, ltbench.LogUniform(0.1, 10.0)]


def robustness_loss(embedding: Tensor, labels: Tensor, centroids: Tensor, radius: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the worst-case loss of each class's centroid among the samples, averaged over the classes present.

    A centroid that is known up to a ball of radius r may be farther by r from its own samples and nearer by r to the others:
    a margin of 2 r bounds what any centroid in the ball would cost. For class c the loss is the mean over its samples z of
    minus the log of exp(-d(z, mu_c) - 2 r_c) relative to its sum over the batch, in which other classes have no margin.

    Row i is that of sample i's class, once for each of its samples: nothing waits to learn which classes are present.

    Args:
        embedding: Shape (B, D).
        labels: Shape (B,).
        centroids: Shape (C, D).
        radius: Shape (C,).
        temperature: Divides distances and margins.
    """
    positive = labels == labels[:, None]  # (B, B)
    distance = ltbench.euclidean_distance(embedding, centroids[labels]).T  # (B, B)
    scores = -(distance + 2 * radius[labels, None] * positive) / temperature
    sizes = positive.sum(dim=1)  # (B,)
    own = scores.log_softmax(dim=1).masked_fill(~positive, 0).sum(dim=1) / sizes  # (B,)
    return -(own / sizes).sum() / (1 / sizes).sum()


class DistributionalRobustness(ltbench.Method):
    """Draw samples to the centroid of their class, and others away, by a margin that covers the centroid's uncertainty.

    It joins the stack's own loss once the features are worth having centroids; these are computed anew before every epoch.

    Args:
        radius: ``learned`` for each class, at least 0; ``free``, learned and without that floor, as in the public code;
            ``shared``, the same constant for all; ``counts``, ``epsilon`` / sqrt(n_k).
        epsilon: The radius, or what learned radii start at.
        weight: Of the robustness loss, relative to the stack's own.
        temperature: Of the softmax over distances.
        start: Fraction of the training after which the loss applies.
        sampler: From ``start`` on, ``balanced`` draws all classes alike, for the robustness loss, and weighs the stack's own
            loss by class size, which undoes it there; ``instance`` draws and weighs as before.
    """

    name = "dro_lt"
    stages = frozenset({1})
    centroids: Tensor
    shares: Tensor

    def __init__(self, facts: ltbench.Facts, *, radius: Literal["learned", "free", "shared", "counts"] = "learned",
                 epsilon: Epsilon = 0.5, weight: Weight = 1.0, temperature: ltbench.Positive = 1.0,
                 start: ltbench.Fraction = 0.7,
                 sampler: Literal["balanced", "instance"] = "balanced") -> None:
        super().__init__(facts)
        self.weight = weight
        self.temperature = temperature
        self.start = start
        self.sampler = sampler
        self.learned = radius in ("learned", "free")
        self.floor = radius == "learned"
        counts = facts.class_counts.double().clamp_min(1)
        radii = (epsilon / counts.sqrt() if radius == "counts" else torch.full_like(counts, epsilon)).float()  # (C,)
        if self.learned:
            self.radius = nn.Parameter(radii)
        else:
            self.register_buffer("radius", radii)
        self.register_buffer("centroids", torch.zeros(facts.num_classes, facts.feature_dim))
        self.register_buffer("shares", (counts / counts.max()).float())  # (C,)

    def _applies(self, ctx: ltbench.Context) -> bool:
        return ctx.progress >= self.start

    def setup(self, ctx: ltbench.Context) -> None:
        """Make room for centroids of the width that the backbone has here: experts and branches change it."""
        self.centroids = self.centroids.new_zeros(self.facts.num_classes, ctx.embedding_dim)

    def start_epoch(self, ctx: ltbench.Context) -> None:
        """Compute the centroids of the training images under the backbone as it is now."""
        if self._applies(ctx):
            bank = ctx.features("train", "plain")
            self.centroids.copy_(ltbench.class_means(bank.embedding, bank.labels, self.facts.num_classes))

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the class-balanced stream once it is time, if so asked; the default before."""
        balanced = self.sampler == "balanced" and self._applies(ctx)
        return {"main": ltbench.ClassBalanced()} if balanced else ctx.default_streams()

    def class_weights(self, ctx: ltbench.Context) -> Tensor | None:
        """Return n_k / max n, shape (C,), where classes are drawn alike; None otherwise."""
        return self.shares if self.sampler == "balanced" and self._applies(ctx) else None

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        """Return the weighted robustness loss; before its time, a zero in which distributed training finds the radii.

        Its sums over the batch are over all processes' images in one accumulation step; every process computes the same loss.
        """
        if not self._applies(ctx):
            return {"robustness": 0 * self.radius.sum()} if self.learned else {}
        embedding, labels = ctx.gather(step.output.embedding), ctx.gather(step.batch.labels)
        loss = robustness_loss(embedding, labels, self.centroids, self.radius, self.temperature)
        return {"robustness": self.weight * loss}

    def parameter_groups(self, ctx: ltbench.Context) -> list[ltbench.ParameterGroup]:
        """Return the learned radii, which no weight decay should shrink before they are used."""
        return [ltbench.ParameterGroup([self.radius], weight_decay=0.0)] if isinstance(self.radius, nn.Parameter) else []

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Keep learned radii from falling below 0: the loss never grows when a radius shrinks."""
        if self.floor:
            self.radius.clamp_(min=0)
