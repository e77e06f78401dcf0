"""Major-to-minor translation, M2m (Kim et al., 2020, section 3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench

_CIFAR: dict[str, Any] = {
    "epochs": 200, "batch_size": 128, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4, "schedule": "step",
    "milestones": (0.8, 0.9), "gamma": 0.01, "warmup": 0.025, "augmentation": ("crop", "flip"),
}


class MajorToMinor(ltbench.Method):
    """Turn images of frequent classes into images of rare ones, as the network of the stage before sees them, and train on these.

    A new network is trained, first on the images as they come. Late, classes are drawn alike, and the rarer the class of an
    image, the more likely it gives way to another class's image that was changed until the network below is sure of the label.

    Args:
        start: Fraction of the training after which images are translated.
        beta: Seeds whose class has m images more than the label's are taken with probability 1 - beta^m.
        aversion: lambda, how much the trained network's logit of the seed's own class is lowered along with the loss.
        confidence: Probability of the label under the network below from which a translation is accepted.
        steps: Of gradient descent on an image.
        step_size: Length of each, in standard deviations of a pixel.
        noise: Largest length of the random change that it begins with, in the same unit.
    """

    name = "m2m"
    stages = frozenset({2})
    inputs = "images"
    backbone = "fresh"
    below = "ce"

    keep: Tensor

    def __init__(self, facts: ltbench.Facts, *, start: ltbench.Fraction = 0.8,
                 beta: Annotated[float, ltbench.Interval(gt=0, lt=1), ltbench.Choice(0.9, 0.99, 0.999)] = 0.999,
                 aversion: Annotated[ltbench.NonNegative, ltbench.Choice(0.01, 0.1, 0.5)] = 0.5,
                 confidence: Annotated[ltbench.Fraction, ltbench.Choice(0.9, 0.99)] = 0.9,
                 steps: Annotated[int, ltbench.Interval(ge=1)] = 10, step_size: ltbench.Positive = 0.4,
                 noise: ltbench.NonNegative = 0.4) -> None:
        super().__init__(facts)
        self.start = start
        self.beta = beta
        self.aversion = aversion
        self.confidence = confidence
        self.steps = steps
        self.step_size = step_size
        self.noise = noise
        self.register_buffer("keep", (facts.class_counts / facts.class_counts.max()).float())  # n_k / n_max, shape (C,)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting on CIFAR; the network below is trained on the same terms."""
        if task.dataset not in ("cifar10-lt", "cifar100-lt"):
            return None
        return ltbench.PaperSetting(protocol=_CIFAR, stage1="ce", stage1_protocol=_CIFAR)

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return images as they come, and class-balanced ones once it is time."""
        return {"main": ltbench.ClassBalanced()} if ctx.progress >= self.start else ctx.default_streams()

    def mix(self, ctx: ltbench.Context, batch: ltbench.Batch) -> ltbench.Batch:
        """Return the batch with some images replaced by translations; labels stay."""
        if batch.images is None:
            raise ValueError("translating needs images, got a batch without")
        if ctx.progress < self.start:
            return batch
        pieces = [batch.images] if batch.chunks == 1 else [ctx.gather(piece[0]) for piece in batch.pieces]
        everything = torch.cat(pieces)  # (G, channels, H, W)
        chance = torch.rand(3, len(batch.global_labels), generator=ctx.generator)
        replace, pick, accept = (batch.rows_of(row) for row in chance)
        seeds, likely = self.choose(ctx.class_counts, batch.labels, batch.global_labels, pick)
        noise = batch.rows_of(torch.randn(len(batch.global_labels), *batch.images.shape[1:], generator=ctx.generator))
        found, sure = self.translate(ctx, everything, seeds, batch.global_labels[seeds], batch.labels, noise)
        accepted = (replace >= self.keep[batch.labels]) & (accept < likely) & (sure >= self.confidence)
        return dataclasses.replace(batch, images=torch.where(accepted[:, None, None, None], found, batch.images))

    def choose(self, counts: Tensor, labels: Tensor, everything: Tensor, pick: Tensor) -> tuple[Tensor, Tensor]:
        """Return a seed for each label: its row in the global batch, and the probability that it is taken, both shape (B,).

        Args:
            counts: n_k, shape (C,).
            labels: Of the images that may give way, shape (B,).
            everything: Labels of the global batch, shape (G,).
            pick: Numbers in [0, 1), shape (B,).
        """
        more = (counts[everything] - counts[labels][:, None]).clamp_min(0)  # (B, G)
        chances = 1 - self.beta ** more.double()
        reached = chances.cumsum(dim=1)
        rows = torch.searchsorted(reached, pick.double()[:, None] * reached[:, -1:], right=True).squeeze(1)
        rows = rows.clamp_max(len(everything) - 1)  # where no class of the batch has more images, any row: its chance is 0
        return rows, chances.gather(1, rows[:, None]).squeeze(1)

    def translate(self, ctx: ltbench.Context, everything: Tensor, seeds: Tensor, sources: Tensor, labels: Tensor,
                  noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return changed seeds, shape (B, channels, H, W), and the probability of their labels under the network below, (B,).

        Args:
            everything: Images of the global batch, shape (G, channels, H, W).
            seeds: Rows of it, shape (B,).
            sources: Classes of the seeds, shape (B,).
            labels: What they are to become, shape (B,).
            noise: Directions of the first change, shape (B, channels, H, W).
        """
        below, own = ctx.previous, ctx.engine
        if below is None:
            raise ValueError("translating needs a stage before")
        lowest, highest = everything.amin(dim=(0, 2, 3), keepdim=True), everything.amax(dim=(0, 2, 3), keepdim=True)
        images = everything[seeds] + self.noise * unit(noise)
        images = images.clamp(lowest, highest).detach()
        with evaluating(own.backbone, own.head):
            for _ in range(self.steps):
                images.requires_grad_(True)
                # Each image goes its own way, however many there are: its gradient is divided by its length.
                away = ctx.forward(images).logits.gather(1, sources[:, None]).sum()
                loss = F.cross_entropy(below.output(images).logits, labels, reduction="sum") + self.aversion * away
                (gradient,) = torch.autograd.grad(loss, images)
                images = (images.detach() - self.step_size * unit(gradient)).clamp(lowest, highest)
            with torch.no_grad():
                sure = below.output(images).logits.float().softmax(dim=1).gather(1, labels[:, None]).squeeze(1)
        return images, sure


def unit(tensor: Tensor) -> Tensor:
    """Return each image's direction, shape (B, channels, H, W); 0 where there is none."""
    return F.normalize(tensor.flatten(1), dim=1, eps=1e-10).view_as(tensor)


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Put modules into evaluation mode for a while; whatever was so before stays so."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    try:
        for part, _ in modes:
            part.training = False
        yield
    finally:
        for part, mode in modes:
            part.training = mode
