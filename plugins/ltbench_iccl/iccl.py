"""Interpolative centroid contrastive learning (Tiong et al., 2023, sections 3.1 to 3.4): the representation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

import torch
from torch import Tensor, nn

import ltbench
from ltbench_iccl import setting
from ltbench_iccl.centroids import class_sums, retrieval_losses, shares_found, updated_centroids
from ltbench_iccl.head import ProjectingHead

BelowOne = Annotated[float, ltbench.Interval(ge=0, lt=1)]


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
        decay: Factor of the rate at the milestones of a step schedule, in place of the protocol's; none for that one.
    """

    name = "iccl"
    leaves = "made"
    stages = frozenset({1})
    centroids: Tensor
    sums: Tensor
    sizes: Tensor

    def __init__(self, facts: ltbench.Facts, *, uniform_weight: ltbench.NonNegative = 0.0,
                 interpolative_weight: ltbench.Positive = 1.0, ce_it: bool = True, cc_it: bool = True, warmup: BelowOne = 0.4,
                 alpha: ltbench.Positive = 1.0, beta: ltbench.Positive = 1.0,
                 sampler: Literal["class_aware", "class_agnostic"] = "class_aware",
                 gamma: Annotated[float, ltbench.Interval()] = 0.0, temperature: ltbench.Positive = 0.3,
                 momentum: BelowOne = 0.99, projection_dim: Annotated[int, ltbench.Interval(gt=0)] = 32,
                 decay: Annotated[float, ltbench.Interval(gt=0, le=1)] | None = None) -> None:
        super().__init__(facts)
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
        self.decay = decay
        self.register_buffer("centroids", torch.zeros(facts.num_classes, projection_dim))  # (C, d_z)
        # Of the projections of an epoch, which is measured before anything is saved: no part of the state.
        self.register_buffer("sums", torch.zeros(facts.num_classes, projection_dim), persistent=False)  # (C, d_z)
        self.register_buffer("sizes", torch.zeros(facts.num_classes), persistent=False)  # (C,)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of section 4.2."""
        return setting.representation(task)

    def protocol_overrides(self) -> Mapping[str, Any]:
        """Return the decay of the rate, where it is asked for."""
        return {} if self.decay is None else {"gamma": self.decay}

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
            loss = ctx.loss(output.logits, plain) + self._retrieval(output, plain)
            return ltbench.Step(loss, output, plain)
        return self.interpolate(ctx, plain, batches["class_aware"], self.draw_share(ctx))

    def draw_share(self, ctx: ltbench.Context) -> float:
        """Return lambda for a whole batch, the same on every process."""
        return ctx.draw_beta(self.alpha, self.beta)

    def interpolate(self, ctx: ltbench.Context, plain: ltbench.Batch, other: ltbench.Batch, share: float) -> ltbench.Step:
        """Return eq. 8's loss.

        Args:
            ctx: The context.
            plain: x^h, from the class-agnostic stream.
            other: x^t, from the class-aware stream.
            share: lambda.
        """
        step, mixed = self._forward(ctx, plain, other, share)
        loss = step.loss
        if self.ce_it:
            loss = loss + self.interpolative_weight * self.classification(ctx, mixed, plain, other, share)
        if self.cc_it:
            loss = loss + self.interpolative_weight * self.retrieval(mixed, plain, other, share)
        else:  # distributed training waits for a gradient of every parameter, the projector's too
            loss = loss + 0.0 * mixed.extra["projection"].sum()
        return dataclasses.replace(step, loss=loss)

    def _forward(self, ctx: ltbench.Context, plain: ltbench.Batch, other: ltbench.Batch,
                 share: float) -> tuple[ltbench.Step, ltbench.Output]:
        """Return the step with the loss on plain images, and the output for the mixtures.

        Plain images and mixtures pass through the network together, so that batch norm sees one distribution. Where nothing reads
        plain images, the mixtures pass alone, and the step is theirs. Centroids are means of plain images: they read them.
        """
        mixtures = interpolated(plain, other, share)
        if self.uniform_weight or self.cc_it:
            size = len(plain.labels)
            both = ctx.forward(torch.cat([_images(plain), mixtures]))
            output, mixed = _rows(both, slice(size)), _rows(both, slice(size, None))
            return ltbench.Step(self.uniform_weight * ctx.loss(output.logits, plain), output, plain), mixed
        mixed = ctx.forward(mixtures)
        targets = [(labels, share * weight) for labels, weight in plain.targets]
        targets += [(labels, (1 - share) * weight) for labels, weight in other.targets]
        batch = dataclasses.replace(plain, images=mixtures, targets=targets)
        return ltbench.Step(mixed.logits.new_zeros(()), mixed, batch), mixed

    def classification(self, ctx: ltbench.Context, mixed: ltbench.Output, plain: ltbench.Batch, other: ltbench.Batch,
                       share: float) -> Tensor:
        """Return eq. 7's loss: mixtures are classified as both their classes."""
        return share * ctx.loss(mixed.logits, plain) + (1 - share) * ctx.loss(mixed.logits, other)

    def retrieval(self, mixed: ltbench.Output, plain: ltbench.Batch, other: ltbench.Batch, share: float) -> Tensor:
        """Return eq. 5's loss: mixtures retrieve the centroids of both their classes."""
        return share * self._retrieval(mixed, plain) + (1 - share) * self._retrieval(mixed, other)

    def start_epoch(self, ctx: ltbench.Context) -> None:
        """Forget the projections of the epoch before."""
        self.sums.zero_()
        self.sizes.zero_()

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Move the centroids by the plain images of the global batch (eq. 1), as long as a loss reads them.

        What is gathered are the embeddings; the projector, one step newer, places them.
        """
        if self._warms_up(ctx) or self.cc_it:
            projections = cast(ProjectingHead, ctx.engine.head).project(seen.features.float())
            self.centroids.copy_(updated_centroids(self.centroids, projections, seen.labels, self.momentum))
            sums, sizes = class_sums(projections, seen.labels, self.facts.num_classes)
            self.sums += sums
            self.sizes += sizes

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        """Return ``centroids_many``, ``centroids_medium`` and ``centroids_few``: see :func:`shares_found`.

        Class means are those of the epoch's plain images as training projected them, which costs no pass over the images;
        nothing before the first step, nor where no loss reads the centroids.
        """
        return shares_found(self.sums, self.sizes, self.centroids, ctx.class_counts)

    def _warms_up(self, ctx: ltbench.Context) -> bool:
        return ctx.epoch < self.warmup_epochs

    def _retrieval(self, output: ltbench.Output, batch: ltbench.Batch) -> Tensor:
        """Return eq. 4's loss for the label of each image of a batch, averaged over the global batch."""
        losses = retrieval_losses(output.extra["projection"], self.centroids, batch.labels, self.temperature)
        return losses.sum() * batch.chunks / len(batch.global_labels)


def interpolated(plain: ltbench.Batch, other: ltbench.Batch, share: float) -> Tensor:
    """Return eq. 3's mixtures of x^h and x^t, whose share lambda is that of x^h, shape (B, channels, H, W)."""
    return share * _images(plain) + (1 - share) * _images(other)


def _images(batch: ltbench.Batch) -> Tensor:
    if batch.images is None:
        raise ValueError("mixing needs images, got a batch without")
    return batch.images


def _rows(output: ltbench.Output, rows: slice) -> ltbench.Output:
    return ltbench.Output(output.embedding[rows], output.features[rows], output.logits[rows],
                          {name: value[rows] for name, value in output.extra.items()})
