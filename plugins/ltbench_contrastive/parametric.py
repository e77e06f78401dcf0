"""What PaCo (Cui et al., 2021) and GPaCo (Cui et al., 2023) share: the loss, and a queue of keys with their labels."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_contrastive.branches import own_rows
from ltbench_contrastive.projection import ProjectingHead

Size = Annotated[int, ltbench.Interval(ge=1)]
Second = Literal["simclr", "sim", "stack"]
_SIM = ("random_resized_crop", "flip", "jitter", "grayscale", "gaussian_blur")
_SECOND = {"simclr": ("simclr", "gaussian_blur"), "sim": _SIM, "stack": (*_SIM, "randaugment(n=3,m=10)")}
_NONE = -1  # the label of a place in the queue that is still empty


def parametric_losses(centers: Tensor, scores: Tensor, labels: Tensor, members: Tensor, alpha: float) -> Tensor:
    """Return the parametric contrastive loss of every anchor, shape (N,).

    Centers and keys stand in one softmax. The own center is pulled with weight 1, every key of the own class with alpha.

    Args:
        centers: Logits with the log class prior added, shape (N, C).
        scores: Similarities to keys, divided by the temperature, shape (N, M); -inf for what is no key of this anchor.
        labels: Of the anchors, shape (N,).
        members: The class of each key, shape (M,).
        alpha: Weight of a key.
    """
    positive = (labels[:, None] == members) & scores.isfinite()
    pulled = centers.gather(1, labels[:, None])[:, 0] + alpha * scores.masked_fill(~positive, 0).sum(dim=1)
    return torch.cat([centers, scores], dim=1).logsumexp(dim=1) - pulled / (1 + alpha * positive.sum(dim=1))


class ParametricContrast(ltbench.Method):
    """Let classes' learned centers take part in a supervised contrast.

    Supervised contrastive learning draws images of large classes together hardest. A center draws all its images alike, and the
    pull between images, down to alpha of its own, grows with the class far less.

    Args:
        alpha: Weight of a pair of images; that of an image and its center is 1.
        temperature: Of similarities between images; centers are read by the classifier, without one.
        queue: Keys of earlier batches that are remembered.
        dim: d, of the projections.
        second: The other view: ``simclr`` with blur, ``sim`` without change of hue, for large images, or ``stack``, with
            RandAugment too.
    """

    leaves = "made"
    shift: Tensor
    queue: Tensor
    members: Tensor

    def __init__(self, facts: ltbench.Facts, *, alpha: float, temperature: float, queue: int, dim: int, second: str) -> None:
        super().__init__(facts)
        self.alpha = alpha
        self.temperature = temperature
        self.dim = dim
        self.second = _SECOND[second]
        self.register_buffer("shift", facts.log_prior.float())  # (C,)
        self.register_buffer("queue", torch.zeros(queue, dim))
        self.register_buffer("members", torch.full((queue,), _NONE))

    @abstractmethod
    def projector(self, feature_dim: int) -> nn.Module:
        """Return the projection."""

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the stack's classifier with the projection beside it."""
        return ProjectingHead(make.classifier(), self.projector(make.feature_dim))

    def views(self, ctx: ltbench.Context) -> tuple[tuple[str, ...], ...]:
        """Return the protocol's view and one of contrastive learning."""
        return (ctx.protocol.augmentation, self.second)

    def mix(self, ctx: ltbench.Context, batch: ltbench.Batch) -> ltbench.Batch:
        """Return the batch as it is: the loss has one class for every image."""
        return batch

    def sample_losses(self, ctx: ltbench.Context, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of every image, shape (B,).

        Args:
            ctx: The context, in a step.
            logits: Of the classes; beside them the scores of :meth:`contrasted`, if any. Shape (B, C) or (B, C + M).
            labels: Shape (B,).
        """
        logits = logits.float()
        centers, scores = logits[:, :self.facts.num_classes] + self.shift, logits[:, self.facts.num_classes:]
        if ctx.batch is None or not scores.shape[1]:
            return F.cross_entropy(centers, labels, reduction="none")
        here = ctx.gather(ctx.batch.labels)
        return parametric_losses(centers, scores, labels, torch.cat([here, here, self.members]), self.alpha)

    def contrasted(self, ctx: ltbench.Context, batch: ltbench.Batch, logits: Tensor, anchors: Tensor, others: Tensor) -> Tensor:
        """Return the loss of one view: its logits beside its similarities to itself, the other view and the queue.

        Args:
            ctx: The context.
            batch: This process's part.
            logits: Of the part, shape (B, C).
            anchors: Projections of this view on all processes, shape (G, d).
            others: Those of the other view, shape (G, d).
        """
        with torch.autocast(anchors.device.type, enabled=False):
            keys = torch.cat([anchors, others, self.queue])
            rows = own_rows(ctx, batch)
            scores = anchors[rows] @ keys.T / self.temperature  # (B, 2 G + Q)
        places = torch.arange(len(keys), device=scores.device)
        empty = torch.cat([self.members.new_zeros(2 * len(anchors)), self.members]) == _NONE
        scores = scores.masked_fill(empty | (places == rows[:, None]), -torch.inf)
        return ctx.loss(torch.cat([logits.float(), scores], dim=1), batch)

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Put the global batch's keys and their labels at the front of the queue."""
        self.queue.copy_(torch.cat([seen.rows["keys"].to(self.queue.dtype), self.queue])[:len(self.queue)])
        self.members.copy_(torch.cat([seen.labels, self.members])[:len(self.members)])

    def head(self, ctx: ltbench.Context) -> ProjectingHead:
        """Return the stage's head."""
        return cast(ProjectingHead, ctx.engine.head)
