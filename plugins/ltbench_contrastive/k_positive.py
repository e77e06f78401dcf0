"""k-positive contrastive learning, KCL (Kang et al., 2021), and with all positives FCL."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

import torch
from torch import Tensor, nn

import ltbench
from ltbench_contrastive.projection import Projector

Size = Annotated[int, ltbench.Interval(ge=1)]
Projection = Literal["linear", "mlp"]
_NONE = -1  # the label of a place in the queue that is still empty
_LARGEST = 65536

LARGE: dict[str, Any] = {
    "backbone": "timm:resnet50", "optimizer": "sgd", "momentum": 0.9, "batch_size": 256, "epochs": 200, "lr": 0.1,
    "weight_decay": 5e-4, "schedule": "cosine", "warmup": 0.0, "augmentation": ("random_resized_crop", "flip", "jitter"),
    # The classifier above: 40 passes in batches of 2,048, x .1 after 20 and 30.
    "stage2_draws": 40.0, "stage2_batch_size": 2048, "stage2_lr": 10.0, "stage2_weight_decay": 0.0, "stage2_schedule": "step",
    "milestones": (0.5, 0.75), "gamma": 0.1,
}


def first_of(positive: Tensor, order: Tensor, count: int) -> Tensor:
    """Return which keys are the first positives of each anchor in a random order, shape (B, Q), bool.

    Every set of ``count`` positives of an anchor is equally likely; anchors of one class have the same.

    Args:
        positive: Which keys are of the anchor's class, shape (B, Q), bool.
        order: A permutation of the Q keys, shape (Q,).
        count: At most how many.
    """
    ordered = positive[:, order]
    return torch.zeros_like(positive).index_copy_(1, order, ordered & (ordered.cumsum(dim=1) <= count))


def contrast_losses(own: Tensor, others: Tensor, positive: Tensor) -> Tensor:
    """Return minus the mean log-probability of an anchor's positives, its own key among them, shape (B,).

    Args:
        own: Similarity to the key of the image's other view, divided by the temperature, shape (B,).
        others: Those to the keys of other images, shape (B, M); -inf for what is no key.
        positive: Which of them are drawn as positives, shape (B, M), bool.
    """
    pulled = own + others.masked_fill(~positive, 0).sum(dim=1)
    return torch.cat([own[:, None], others], dim=1).logsumexp(dim=1) - pulled / (1 + positive.sum(dim=1))


class DetachedHead(ltbench.Head):
    """Classify an embedding without teaching the backbone; a network beside it projects what is contrasted.

    Args:
        classifier: Embedding (B, D) -> logits (B, C).
        projector: Embedding (B, D) -> length 1, shape (B, d).
    """

    def __init__(self, classifier: nn.Module, projector: Projector) -> None:
        super().__init__(classifier)
        self.projector = projector

    def forward(self, embedding: Tensor) -> ltbench.Output:
        """Return the embedding, and logits from which no gradient goes back to it."""
        return ltbench.Output(embedding, embedding, self.classifier(embedding.detach()))


class QueueContrast(ltbench.Method):
    """Contrast an image with the key of its other view and with a queue of earlier keys, k of its class among its positives.

    Args:
        positives: k, drawn from the queue; 0 for none, as in MoCo, and none for all.
        temperature: tau.
        momentum: Of the encoder that makes the keys.
        queue: Keys of earlier batches that are remembered; none for as many as there are training images, at most 65,536.
        dim: d, of the projections.
        projection: One ``linear`` layer, or an ``mlp`` of two.
    """

    leaves = "made"
    queue: Tensor
    members: Tensor

    def __init__(self, facts: ltbench.Facts, *, positives: int | None, temperature: float, momentum: float, queue: int | None,
                 dim: int, projection: str) -> None:
        super().__init__(facts)
        self.positives = positives
        self.temperature = temperature
        self.momentum = momentum
        self.dim = dim
        self.layers = 1 if projection == "linear" else 2
        self.key_encoder: nn.Module = nn.Identity()
        size = max(1, min(_LARGEST, int(facts.class_counts.sum()))) if queue is None else queue
        self.register_buffer("queue", torch.zeros(size, dim))
        self.register_buffer("members", torch.full((size,), _NONE))

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the stack's classifier, which learns beside, and the projection."""
        return DetachedHead(make.classifier(), Projector(*[make.feature_dim] * self.layers, self.dim))

    def setup(self, ctx: ltbench.Context) -> None:
        """Let the encoder of keys follow that of queries."""
        self.key_encoder = ctx.ema_of(nn.Sequential(ctx.engine.backbone, self.projector(ctx)), self.momentum)

    def views(self, ctx: ltbench.Context) -> tuple[tuple[str, ...], ...]:
        """Return the protocol's view twice: for the query and for its key."""
        return (ctx.protocol.augmentation, ctx.protocol.augmentation)

    def mix(self, ctx: ltbench.Context, batch: ltbench.Batch) -> ltbench.Batch:
        """Return the batch as it is: a query is of one image."""
        return batch

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Contrast the first view with the key of the second and with the queue; the classifier learns from what it is given."""
        batch = batches["main"]
        step = ctx.default_step(batch)
        queries = self.projector(ctx)(step.output.embedding)
        keys = self.key_encoder(batch.views[1])
        losses = self.losses(ctx, queries, keys, batch.labels)
        contrast = losses.sum() * batch.chunks / len(batch.global_labels)
        return dataclasses.replace(step, loss=step.loss + contrast, logs={"classification": step.loss, "contrast": contrast},
                                   rows=self.rows(queries, keys))

    def rows(self, queries: Tensor, keys: Tensor) -> Mapping[str, Tensor]:
        """Return what is remembered of the images, shape (B, d) each."""
        return {"keys": keys}

    def losses(self, ctx: ltbench.Context, queries: Tensor, keys: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of every query, shape (B,).

        Args:
            ctx: The context, in a step.
            queries: Shape (B, d).
            keys: Of the same images, shape (B, d).
            labels: Shape (B,).
        """
        own, others = self.scores(queries, keys)
        return contrast_losses(own, others, self.drawn(ctx, labels))

    def scores(self, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Return similarities over tau to the own key, shape (B,), and to the queue, shape (B, Q), -inf at empty places."""
        with torch.autocast(queries.device.type, enabled=False):
            others = queries @ self.queue.T / self.temperature
        return (queries * keys).sum(dim=1) / self.temperature, others.masked_fill(self.members == _NONE, -torch.inf)

    def drawn(self, ctx: ltbench.Context, labels: Tensor) -> Tensor:
        """Return which keys of the queue are an image's positives, shape (B, Q), bool."""
        positive = labels[:, None] == self.members
        if self.positives is None:
            return positive
        order = torch.randperm(len(self.members), generator=ctx.generator).to(labels.device, non_blocking=True)
        return first_of(positive, order, self.positives)

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Put the global batch's keys and their labels at the front of the queue."""
        self.queue.copy_(torch.cat([seen.rows["keys"].to(self.queue.dtype), self.queue])[:len(self.queue)])
        self.members.copy_(torch.cat([seen.labels, self.members])[:len(self.members)])

    def projector(self, ctx: ltbench.Context) -> Projector:
        """Return the projection of queries."""
        return cast(DetachedHead, ctx.engine.head).projector


class KPositiveContrast(QueueContrast):
    """Draw k positives for every image, whatever its class has: large classes no longer pull harder than small ones."""

    name = "kcl"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *,
                 positives: Annotated[int, ltbench.Interval(ge=0), ltbench.Choice(2, 4, 6, 8)] | None = 6,
                 temperature: Annotated[ltbench.Positive, ltbench.LogUniform(0.02, 0.5)] = 0.07,
                 momentum: Annotated[float, ltbench.Interval(ge=0, lt=1)] = 0.999, queue: Size | None = None, dim: Size = 128,
                 projection: Projection = "linear") -> None:
        super().__init__(facts, positives=positives, temperature=temperature, momentum=momentum, queue=queue, dim=dim,
                         projection=projection)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting."""
        return ltbench.PaperSetting(protocol=LARGE) if task.dataset == "imagenet-lt" else None
