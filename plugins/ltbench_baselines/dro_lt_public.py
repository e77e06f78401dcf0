"""DRO-LT's second phase as its public code runs it: a stage of its own (Samuel & Chechik, 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

import ltbench
from ltbench_baselines import cao_2019
from ltbench_baselines.dro_lt import Epsilon, Weight, robustness_loss

_EPOCHS = 80  # each of as many draws as the classes would have, were all as large as the largest


class PublicRobustness(ltbench.ReusedClassifier):
    """Tune the backbone under a classifier that stays as it was: class-balanced cross-entropy and the robustness loss.

    Radii are learned and free, and decay like all that the stage trains.

    Args:
        epsilon: What the radii start at: half of the public code's margins.
        weight: Of the robustness loss, relative to the stack's own.
        temperature: Of the softmax over distances.
    """

    name = "dro_lt_public"
    leaves = "linear"
    centroids: Tensor
    shares: Tensor

    def __init__(self, facts: ltbench.Facts, *, epsilon: Epsilon = 0.5, weight: Weight = 1.0,
                 temperature: ltbench.Positive = 1.0) -> None:
        super().__init__(facts, inputs="images")
        self.backbone = "tuned"
        self.weight = weight
        self.temperature = temperature
        counts = facts.class_counts.double().clamp_min(1)
        self.radius = nn.Parameter(torch.full((facts.num_classes,), epsilon))
        self.register_buffer("centroids", torch.zeros(facts.num_classes, facts.feature_dim))
        self.register_buffer("shares", (counts / counts.max()).float())  # (C,)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public instructions' setting on long-tailed CIFAR, on a first stage on the terms of LDAM's code."""
        below = cao_2019.setting(task)
        if below is None:
            return None
        largest, classes = (5000, 10) if task.dataset == "cifar10-lt" else (500, 100)
        protocol = {"stage2_samples": _EPOCHS * largest * classes, "stage2_batch_size": 128, "stage2_lr": 0.005, "momentum": 0.9,
                    "stage2_schedule": "constant", "stage2_weight_decay": 1e-4,
                    "augmentation": ("crop", "flip", "autoaugment", "cutout")}
        return ltbench.PaperSetting(protocol=protocol, stage1="ce", stage1_protocol=below.protocol)

    def reuse(self, linear: nn.Linear) -> nn.Module:
        """Return the earlier classifier, which stays as it is."""
        return linear

    def setup(self, ctx: ltbench.Context) -> None:
        """Take over the earlier head; make room for centroids of the width that the backbone has here."""
        super().setup(ctx)
        self.centroids = self.centroids.new_zeros(self.facts.num_classes, ctx.embedding_dim)

    def start_epoch(self, ctx: ltbench.Context) -> None:
        """Compute the centroids of the training images under the backbone as it is now."""
        super().start_epoch(ctx)
        bank = ctx.features("train", "plain")
        self.centroids.copy_(ltbench.class_means(bank.embedding, bank.labels, self.facts.num_classes))

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the class-balanced stream."""
        return {"main": ltbench.ClassBalanced()}

    def class_weights(self, ctx: ltbench.Context) -> Tensor | None:
        """Return n_k / max n, shape (C,), which undoes the balanced draws in the stack's own loss."""
        return self.shares

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        """Return the weighted robustness loss over all processes' images in one accumulation step."""
        embedding, labels = ctx.gather(step.output.embedding), ctx.gather(step.batch.labels)
        loss = robustness_loss(embedding, labels, self.centroids, self.radius, self.temperature)
        return {"robustness": self.weight * loss}
