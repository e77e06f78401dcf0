"""Interpolative centroid contrastive learning (Tiong et al., 2023, sections 3.1 to 3.4): the representation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal, cast

import torch
from torch import Tensor, nn

import ltbench
from ltbench_iccl import setting
from ltbench_iccl.centroids import retrieval_losses, updated_centroids
from ltbench_iccl.head import ProjectingHead


class ICCL(ltbench.Method):
    """Mix images of an instance-balanced and a class-aware stream, and retrieve the centroids of both classes from the mixture.

    A warm-up trains on plain images alone, with cross-entropy and the retrieval of the own class's centroid. Defaults are those
    of the paper on CIFAR-100-LT, as everywhere in ltbench; :meth:`paper` has the others.

    Args:
        uniform_weight: omega_u, of the cross-entropy on plain images after the warm-up; the warm-up always has it.
        interpolative_weight: omega_it, of both losses on mixtures.
        ce_it: Whether mixtures are classified (eq. 7).
        cc_it: Whether they retrieve centroids (eq. 5).
        warmup: T as a fraction of the epochs; 0 for none.
        alpha: First parameter of the Beta distribution of lambda, the share of the instance-balanced image.
        beta: Second parameter; (1, 1) is uniform.
        sampler: Of the second image: ``class_aware``, or ``class_agnostic`` for instance-balanced as the first.
        gamma: Of the class-aware sampler: 0 draws all classes alike, 1 by inverse size.
        temperature: tau of the similarities.
        momentum: m of the centroids.
        projection_dim: d_z.
    """

    name = "iccl"
    stages = frozenset({1})
    centroids: Tensor

    def __init__(self, facts: ltbench.Facts, *, uniform_weight: float = 0.0, interpolative_weight: float = 1.0,
                 ce_it: bool = True, cc_it: bool = True, warmup: float = 0.4, alpha: float = 1.0, beta: float = 1.0,
                 sampler: Literal["class_aware", "class_agnostic"] = "class_aware", gamma: float = 0.0,
                 temperature: float = 0.3, momentum: float = 0.99, projection_dim: int = 32) -> None:
        super().__init__(facts)
        for name, value in (("interpolative_weight", interpolative_weight), ("alpha", alpha), ("beta", beta),
                            ("temperature", temperature), ("projection_dim", projection_dim)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be > 0 and finite, got {value}")
        for name, value in (("warmup", warmup), ("momentum", momentum)):
            if not 0 <= value < 1:
                raise ValueError(f"{name} must be in [0, 1), got {value}")
        if not 0 <= uniform_weight < math.inf:
            raise ValueError(f"uniform_weight must be >= 0 and finite, got {uniform_weight}")
        if not math.isfinite(gamma):
            raise ValueError(f"gamma must be a finite number, got {gamma}")
        if sampler not in ("class_aware", "class_agnostic"):
            raise ValueError(f"sampler must be class_aware or class_agnostic, got {sampler}")
        if not (ce_it or uniform_weight):
            raise ValueError(f"ce_it must be true where uniform_weight is 0, or nothing trains the classifier, got {ce_it}")
        if not (ce_it or cc_it):
            raise ValueError(f"cc_it must be true where ce_it is not, or nothing is learned from mixtures, got {cc_it}")
        self.uniform_weight = uniform_weight
        self.interpolative_weight = interpolative_weight
        self.ce_it = ce_it
        self.cc_it = cc_it
        self.warmup_epochs = round(warmup * facts.epochs)  # T
        self.alpha = alpha
        self.beta = beta
        self.second = ltbench.ClassAware(gamma) if sampler == "class_aware" else ltbench.InstanceBalanced()
        self.temperature = temperature
        self.momentum = momentum
        self.projection_dim = projection_dim
        self.register_buffer("centroids", torch.zeros(facts.num_classes, projection_dim))  # (C, d_z)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of section 4.2."""
        return setting.representation(task)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the classifier with the projection head beside it."""
        return ProjectingHead(make.classifier(), make.feature_dim, self.projection_dim)

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the class-agnostic stream and, after the warm-up, the class-aware one of as many draws (section 3.2)."""
        streams: dict[str, ltbench.Sampler] = {"main": ltbench.InstanceBalanced()}
        return streams if self._warms_up(ctx) else {**streams, "class_aware": self.second}

    def mix(self, ctx: ltbench.Context, batch: ltbench.Batch) -> ltbench.Batch:
        """Return the batch as drawn; owning this says that no other method may mix what the branches mix already."""
        return batch

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Return the warm-up's loss, or eq. 8's."""
        plain = batches["main"]
        if self._warms_up(ctx):
            output = ctx.forward(plain)
            loss = ctx.loss(output.logits, plain) + self._retrieval(output, plain, plain.labels)
            return ltbench.Step(loss, output, plain)
        other = batches["class_aware"]
        share = self.draw_share(ctx)
        return self.interpolate(ctx, plain, other, share)

    def draw_share(self, ctx: ltbench.Context) -> float:
        """Return lambda for a whole batch, the same on every process."""
        return ctx.draw_beta(self.alpha, self.beta)

    def interpolate(self, ctx: ltbench.Context, plain: ltbench.Batch, other: ltbench.Batch, share: float) -> ltbench.Step:
        """Return eq. 8's loss.

        Plain images and mixtures pass through the network together, so that batch norm sees one distribution.

        Args:
            ctx: The context.
            plain: x^h, from the class-agnostic stream.
            other: x^t, from the class-aware stream.
            share: lambda.
        """
        if plain.images is None or other.images is None:
            raise ValueError("mixing needs images, got a batch without")
        mixtures = share * plain.images + (1 - share) * other.images  # eq. 3
        size = len(plain.labels)
        if self.uniform_weight or self.cc_it:  # centroids are means of plain images, whether these are classified or not
            both = ctx.forward(torch.cat([plain.images, mixtures]))
            output, mixed = _rows(both, slice(size)), _rows(both, slice(size, None))
            step = ltbench.Step(self.uniform_weight * ctx.loss(output.logits, plain), output, plain)
        else:
            mixed = ctx.forward(mixtures)
            targets = [(labels, share * weight) for labels, weight in plain.targets]
            targets += [(labels, (1 - share) * weight) for labels, weight in other.targets]
            step = ltbench.Step(mixed.logits.new_zeros(()), mixed, dataclasses.replace(plain, images=mixtures, targets=targets))
        loss = step.loss
        if self.ce_it:  # eq. 7
            classified = share * ctx.loss(mixed.logits, plain) + (1 - share) * ctx.loss(mixed.logits, other)
            loss = loss + self.interpolative_weight * classified
        if self.cc_it:  # eq. 5
            retrieved = share * self._retrieval(mixed, plain, plain.labels) \
                + (1 - share) * self._retrieval(mixed, other, other.labels)
            loss = loss + self.interpolative_weight * retrieved
        else:  # distributed training waits for a gradient of every parameter, the projector's too
            loss = loss + 0.0 * mixed.extra["projection"].sum()
        return dataclasses.replace(step, loss=loss)

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Move the centroids by the plain images of the global batch (eq. 1), as long as a loss reads them.

        What is gathered are the embeddings; the projector, one step newer, places them.
        """
        if self._warms_up(ctx) or self.cc_it:
            projections = cast(ProjectingHead, ctx.engine.head).project(seen.features.float())
            self.centroids.copy_(updated_centroids(self.centroids, projections, seen.labels, self.momentum))

    def _warms_up(self, ctx: ltbench.Context) -> bool:
        return ctx.epoch < self.warmup_epochs

    def _retrieval(self, output: ltbench.Output, batch: ltbench.Batch, labels: Tensor) -> Tensor:
        """Return eq. 4's loss for one label of each image, averaged over the global batch."""
        losses = retrieval_losses(output.extra["projection"], self.centroids, labels, self.temperature)
        return losses.sum() * batch.chunks / len(batch.global_labels)


def _rows(output: ltbench.Output, rows: slice) -> ltbench.Output:
    return ltbench.Output(output.embedding[rows], output.features[rows], output.logits[rows],
                          {name: value[rows] for name, value in output.extra.items()})
