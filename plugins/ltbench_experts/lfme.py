"""Learning from multiple experts, LFME: self-paced distillation into one network (Xiang et al., 2020)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from torch import Tensor

import ltbench
from ltbench_experts.divergence import NEVER
from ltbench_experts.lfme_experts import LARGE
from ltbench_experts.shots import own_classes


class TaughtByExperts(ltbench.Method):
    """Train one new network on the labels, and to say of every image what three experts say, each over its own classes.

    An expert counts less the nearer its pupil comes to it. Images that their expert finds hard, and classes with many images,
    count less at first, and as much as all others from half of the training on.

    Args:
        distillation: Of the divergences from the experts; the loss on labels counts 1.
        temperature: T, by which logits are divided in a divergence.
        threshold: An expert counts fully until the pupil has this part of its accuracy, and not at all once it has all.
        paced: Part of the training after which all images count alike.
        sampling: How images are drawn.
    """

    name = "lfme"
    stages = frozenset({2})
    backbone = "fresh"
    below = "lfme_experts"
    needs = frozenset({"ShotHead"})

    own: Tensor
    floor: Tensor
    hardest: Tensor
    easiest: Tensor
    right: Tensor
    trust: Tensor

    def __init__(self, facts: ltbench.Facts, *,
                 distillation: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 2.0)] = 1.0,
                 temperature: Annotated[ltbench.Positive, ltbench.Uniform(1.0, 4.0)] = 2.0,
                 threshold: Annotated[float, ltbench.Interval(ge=0, lt=1)] = 0.3,
                 paced: Annotated[float, ltbench.Interval(gt=0, le=1)] = 0.5,
                 sampling: Literal["class_balanced", "instance_balanced"] = "class_balanced") -> None:
        super().__init__(facts)
        self.distillation, self.temperature, self.threshold, self.paced = distillation, temperature, threshold, paced
        self.sampling = sampling
        own, counts = own_classes(facts.class_counts), facts.class_counts.double().clamp_min(1)
        self.register_buffer("own", own)  # (E, C)
        shots = torch.stack([counts[classes].mean() for classes in own])  # (E,)
        self.register_buffer("floor", ((shots.min() / shots) @ own.double()).float())  # (C,)
        self.register_buffer("hardest", torch.ones(facts.num_classes))  # of the experts' confidence in a class, so far
        self.register_buffer("easiest", torch.zeros(facts.num_classes))
        self.register_buffer("right", torch.zeros(len(own), 2))  # images of this epoch that pupil and expert have right
        self.register_buffer("trust", torch.ones(len(own)))  # w

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting."""
        if task.dataset != "imagenet-lt":
            return None
        return ltbench.PaperSetting(stage1="lfme_experts", protocol={
            **LARGE, "epochs": 90, "batch_size": 256, "schedule": "step", "milestones": (50 / 90, 80 / 90), "gamma": 0.1})

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return all images, by default those of every class equally often."""
        return {"main": ltbench.ClassBalanced() if self.sampling == "class_balanced" else ltbench.InstanceBalanced()}

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Weigh the loss on labels by image and the divergences by expert."""
        batch = ctx.mix(batches["main"])
        output = ctx.forward(batch)
        assert ctx.previous is not None
        with torch.no_grad():
            taught = ctx.previous.output(batch).extra["expert_logits"].float().masked_fill(~self.own, NEVER)  # (B, E, C)
            confidence = taught.softmax(dim=2).sum(dim=1)  # of each class's own expert, (B, C)
        targets: list[tuple[Tensor, float | Tensor]] = [
            (labels, share * self.pace(confidence.gather(1, labels[:, None])[:, 0], labels, ctx.progress))
            for labels, share in batch.targets]
        classified = ctx.loss(output.logits, dataclasses.replace(batch, targets=targets))
        distilled = (self.trust * self.divergence(output.logits.float(), taught)).sum()
        right = torch.stack([output.logits.argmax(dim=1) == batch.labels, self.known(taught, batch.labels)], dim=1)
        rows = {"confidence": confidence.gather(1, batch.labels[:, None])[:, 0], "right": right.float()}
        return ltbench.Step(classified + self.distillation * distilled, output, batch,
                            {"classification": classified, "distillation": distilled}, rows)

    def divergence(self, logits: Tensor, taught: Tensor) -> Tensor:
        """Return the mean Kullback-Leibler divergence from each expert over its own classes, shape (E,).

        Args:
            logits: Of the pupil, shape (B, C).
            taught: Shape (B, E, C), with :data:`NEVER` for classes of other experts.
        """
        said = logits[:, None].masked_fill(~self.own, NEVER * self.temperature)
        teacher = (taught / self.temperature).log_softmax(dim=2)
        return (teacher.exp() * (teacher - (said / self.temperature).log_softmax(dim=2))).sum(dim=2).mean(dim=0)

    def known(self, taught: Tensor, labels: Tensor) -> Tensor:
        """Return whether an image's own expert finds its class the likeliest of its own, bool, shape (B,)."""
        expert = self.own.long().argmax(dim=0)[labels]  # (B,)
        best: Tensor = taught.argmax(dim=2).gather(1, expert[:, None])[:, 0]
        return best == labels

    def pace(self, confidence: Tensor, labels: Tensor, progress: float) -> Tensor:
        """Return how much the loss of each image counts, v, shape (B,).

        Args:
            confidence: Of the image's own expert in a label, shape (B,).
            labels: Shape (B,).
            progress: Of the training.
        """
        spread = (self.easiest - self.hardest)[labels]
        # As long as a class has shown one image alone, nothing says whether it is a hard one.
        place = torch.where(spread > 0, (confidence - self.hardest[labels]) / spread.clamp_min(1e-12), 1.0).clamp(0, 1)
        begin = self.floor[labels] + (1 - self.floor[labels]) * place
        return begin + (1 - begin) * min(1.0, progress / self.paced)

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Take note of how sure the experts are of each class, and of who was right."""
        confidence = seen.rows["confidence"].to(self.hardest.dtype)
        self.hardest.scatter_reduce_(0, seen.labels, confidence, "amin")
        self.easiest.scatter_reduce_(0, seen.labels, confidence, "amax")
        self.right += (self.own[:, seen.labels, None] * seen.rows["right"].float()).sum(dim=1)

    def end_epoch(self, ctx: ltbench.Context) -> None:
        """Weigh the experts anew, by what pupil and experts had right in the epoch."""
        pupil, expert = self.right.unbind(dim=1)
        reached = pupil / expert.clamp_min(1)
        self.trust.copy_(((1 - reached) / (1 - self.threshold)).clamp(0, 1))
        self.right.zero_()
