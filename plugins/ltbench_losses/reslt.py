"""Residual learning for long-tailed recognition, ResLT (Cui et al., 2022)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

import ltbench
from ltbench_losses import setting

# beta by ratio: tuned on each, as the names of the public scripts say.
_BETA: Mapping[str, Mapping[float, float]] = {"cifar10-lt": {100: 0.998, 50: 0.998, 10: 0.96},
                                              "cifar100-lt": {100: 0.995, 50: 0.99, 10: 0.72}}
_FROM: Mapping[str, Mapping[str, float]] = {"cifar10-lt": {"medium_from": 0.2, "tail_from": 0.4}, "cifar100-lt": {}}
Share = Annotated[float, ltbench.Interval(gt=0, lt=1)]
Form = Literal["affine", "linear"]


class ChannelScale(nn.Module):
    """Scale and shift every channel: what a batch norm does where it predicts.

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, features: Tensor) -> Tensor:
        """Return features, shape (B, D)."""
        return features * self.weight + self.bias


class ResidualHead(nn.Module):
    """Read an embedding in three branches with one classifier, and add up their logits.

    Args:
        classifier: Features (B, D) -> logits (B, C); of all branches.
        branches: Three, embedding (B, D) -> features (B, D): for all classes, for medium and small ones, for small ones.
    """

    def __init__(self, classifier: nn.Module, branches: list[nn.Module]) -> None:
        super().__init__()
        self.shared = classifier
        self.branches = nn.ModuleList(branches)

    def forward(self, embedding: Tensor) -> ltbench.Output:
        """Return the summed logits; beside them each branch's, shape (B, 3, C)."""
        logits = torch.stack([self.shared(branch(embedding)) for branch in self.branches], dim=1)
        return ltbench.Output(embedding, embedding, logits.sum(dim=1), {"branch_logits": logits})


class ResidualLearning(ltbench.Method):
    """Let a main branch learn all classes, one residual branch medium and small ones, another small ones; predict by the sum.

    Parameters are thus kept for small classes, while the sum is trained on everything.

    Args:
        beta: Of the branches' own losses; 1 - beta is left for that of the sum. Tuned for every ratio.
        medium_from: Share of the classes, by falling size, that only the main branch learns.
        tail_from: Share of the classes that the third branch does not learn.
        form: Of a branch: ``affine``, a scale and a shift a channel, or ``linear``, a layer of its own with a ReLU.
    """

    name = "reslt"
    stages = frozenset({1, 2})
    leaves = "ResidualHead"
    members: Tensor

    def __init__(self, facts: ltbench.Facts, *, beta: Annotated[ltbench.Fraction, ltbench.Uniform(0.5, 1.0)] = 0.995,
                 medium_from: Share = 0.35, tail_from: Share = 0.7, form: Form = "affine") -> None:
        if medium_from >= tail_from:
            raise ValueError(f"medium_from must be < tail_from, got {medium_from} and {tail_from}")
        super().__init__(facts)
        self.beta = beta
        self.form = form
        order = facts.class_counts.argsort(descending=True, stable=True)
        rank = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))  # 0 for the largest
        # round: .7 of 10 classes are 7, whatever floating point says.
        starts = [0, round(medium_from * len(order)), round(tail_from * len(order))]
        self.register_buffer("members", torch.stack([rank >= start for start in starts]).float())  # (3, C)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting on CIFAR, at the ratios that it tunes beta for."""
        beta = _BETA.get(task.dataset, {}).get(task.imbalance_ratio or 1)
        if beta is None:
            return None
        return setting.on_cifar(task, {"beta": beta, **_FROM[task.dataset]}, weight_decay=5e-4, gamma=0.1)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head, with one classifier of the stack's kind."""
        return ResidualHead(make.classifier(), [self._branch(make.feature_dim) for _ in self.members])

    def _branch(self, width: int) -> nn.Module:
        if self.form == "affine":
            return ChannelScale(width)
        return nn.Sequential(nn.Linear(width, width), nn.ReLU())

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Return beta times the branches' joint loss and 1 - beta times that of the summed logits."""
        step = ctx.default_step(batches["main"])
        batch = step.batch
        losses = []
        for logits, member in zip(step.output.extra["branch_logits"].unbind(dim=1), self.members, strict=True):
            targets = [(labels, share * member[labels]) for labels, share in batch.targets]
            losses.append(ctx.loss(logits, dataclasses.replace(batch, targets=targets)))
        joint = torch.stack(losses).sum() * self.share(ctx, batch)
        return ltbench.Step(self.beta * joint + (1 - self.beta) * step.loss, step.output, batch)

    def share(self, ctx: ltbench.Context, batch: ltbench.Batch) -> Tensor:
        """Return images by (image, branch) pairs of the global batch, weighted: the joint loss is a mean over pairs."""
        weights = ctx.class_weights()
        each = torch.ones_like(self.members[0]) if weights is None else weights
        return each[batch.global_labels].sum() / (each * self.members.sum(dim=0))[batch.global_labels].sum()
