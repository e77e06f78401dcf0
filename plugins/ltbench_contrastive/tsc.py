"""Targeted supervised contrastive learning, TSC (Li et al., 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, cast

import torch
from torch import Tensor, nn

import ltbench
from ltbench_contrastive.k_positive import LARGE, DetachedHead, Projection, QueueContrast, Size
from ltbench_contrastive.targets import match, moved, spread


def targeted_losses(own: Tensor, others: Tensor, positive: Tensor, targets: Tensor, chosen: Tensor, weight: float) -> Tensor:
    """Return the loss of an anchor whose class has a target beside its positives, shape (B,).

    Args:
        own: As of ``contrast_losses``, shape (B,).
        others: Likewise, shape (B, M).
        positive: Likewise, shape (B, M), bool.
        targets: Similarities to the targets of all classes, divided by the temperature, shape (B, C).
        chosen: The target of the anchor's class, -1 for none yet, shape (B,).
        weight: Of the target's term.
    """
    total = torch.cat([own[:, None], others, targets], dim=1).logsumexp(dim=1)
    count = 1 + positive.sum(dim=1)
    contrast = count * total - own - others.masked_fill(~positive, 0).sum(dim=1)
    pull = total - targets.gather(1, chosen.clamp_min(0)[:, None])[:, 0]
    placed = chosen >= 0
    return (contrast + weight * pull * placed) / (count + placed)


class TargetedContrast(QueueContrast):
    """Go on from a contrastive stage, and draw every class to a target of its own, all spread evenly on the sphere.

    It is a training of its own, with the epochs and rates of a first stage from the start: the paper's 400 epochs are 200 of
    ``kcl`` and 200 of this. Backbone, classifier and projection begin as the stage before has left them.

    Args:
        target_weight: lambda, of the pull to the target.
        centers_momentum: Of the running class centers by which classes are matched with targets.
        match_every: Steps between two matches; 0 for once an epoch, where there are thousands of classes.
        target_seed: Of the targets.
    """

    name = "tsc"
    stages = frozenset({2})
    below = "kcl"
    needs = frozenset({"linear"})
    backbone = "fresh"
    inputs = "images"
    targets: Tensor
    centers: Tensor
    matched: Tensor

    def __init__(self, facts: ltbench.Facts, *,
                 target_weight: Annotated[ltbench.NonNegative, ltbench.LogUniform(0.02, 2.0)] = 0.2,
                 positives: Annotated[int, ltbench.Interval(ge=0)] | None = 6, temperature: ltbench.Positive = 0.07,
                 momentum: Annotated[float, ltbench.Interval(ge=0, lt=1)] = 0.999, queue: Size | None = None,
                 dim: Annotated[int, ltbench.Interval(ge=2)] = 128, projection: Projection = "linear",
                 centers_momentum: Annotated[float, ltbench.Interval(ge=0, lt=1)] = 0.9,
                 match_every: Annotated[int, ltbench.Interval(ge=0)] = 1, target_seed: int = 0) -> None:
        super().__init__(facts, positives=positives, temperature=temperature, momentum=momentum, queue=queue, dim=dim,
                         projection=projection)
        self.target_weight = target_weight
        self.centers_momentum = centers_momentum
        self.match_every = match_every
        self.target_seed = target_seed
        self.register_buffer("targets", torch.zeros(facts.num_classes, dim))
        self.register_buffer("centers", torch.zeros(facts.num_classes, dim))
        self.register_buffer("matched", torch.full((facts.num_classes,), -1))
        self.steps = 0  # of this epoch; trainings go on at the start of one

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting: as long again as the stage below, from the first rate."""
        if task.dataset != "imagenet-lt":
            return None
        return ltbench.PaperSetting(protocol={**LARGE, "weight_decay": 1e-4}, stage1="kcl")

    def setup(self, ctx: ltbench.Context) -> None:
        """Begin with what the stage before has left, and make the targets."""
        if ctx.previous is not None:
            self.take_over(ctx, ctx.previous.backbone, ctx.previous.head)
        super().setup(ctx)
        self.targets.copy_(spread(self.dim, self.facts.num_classes, self.target_seed))

    def take_over(self, ctx: ltbench.Context, backbone: nn.Module, head: nn.Module) -> None:
        """Take the weights of the stage before.

        Raises:
            UserError: If they are of other shapes.
        """
        own = ctx.engine.head
        parts = [(ctx.engine.backbone, backbone), (own.classifier, head.classifier)]
        if isinstance(head, DetachedHead):
            parts.append((self.projector(ctx), head.projector))
        for mine, theirs in parts:
            try:
                cast(nn.Module, mine).load_state_dict(cast(nn.Module, theirs).state_dict())
            except RuntimeError as error:
                raise ltbench.UserError("'tsc' must have the backbone of the stage before, and dim and projection as they are "
                                        f"there, got other weights: {str(error).splitlines()[-1].strip()}") from error

    def rows(self, queries: Tensor, keys: Tensor) -> Mapping[str, Tensor]:
        """Return what is remembered of the images, shape (B, d) each."""
        return {"keys": keys, "queries": queries}

    def losses(self, ctx: ltbench.Context, queries: Tensor, keys: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of every query, shape (B,)."""
        own, others = self.scores(queries, keys)
        with torch.autocast(queries.device.type, enabled=False):
            targets = queries @ self.targets.T / self.temperature
        return targeted_losses(own, others, self.drawn(ctx, labels), targets, self.matched[labels], self.target_weight)

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Move the queue and the centers; match classes and targets anew."""
        super().after_step(ctx, seen)
        self.centers.copy_(moved(self.centers, seen.rows["queries"].to(self.centers.dtype), seen.labels, self.centers_momentum))
        self.steps += 1
        if self.match_every and self.steps % self.match_every == 0:
            self.rematch()

    def start_epoch(self, ctx: ltbench.Context) -> None:
        """Count steps anew."""
        super().start_epoch(ctx)
        self.steps = 0

    def end_epoch(self, ctx: ltbench.Context) -> None:
        """Match where it is done once an epoch."""
        if not self.match_every:
            self.rematch()

    def rematch(self) -> None:
        """Let every class have the target that the sum of cosines wants."""
        self.matched.copy_(match(self.centers, self.targets, self.matched))
