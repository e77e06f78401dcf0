"""Classifier rebalancing (Tiong et al., 2023, section 3.5): class-aware sampling, taught by the stage before."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_iccl import setting


def distillation_losses(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """Return tau_d^2 KL(teacher || student) of each sample's softened probabilities (eq. 9), shape (B,).

    Args:
        teacher: Logits o^T, shape (B, C).
        student: Logits o^S, shape (B, C).
        temperature: tau_d.
    """
    log_teacher = F.log_softmax(teacher.float() / temperature, dim=1)
    log_student = F.log_softmax(student.float() / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(dim=1)


class ICCLRebalancing(ltbench.ReusedClassifier):
    """Fine-tune the earlier classifier on class-aware samples, held back by what the earlier stage said.

    The earlier head's projection beside the classifier, if it has one, is left behind.

    Args:
        gamma: gamma' of the class-aware sampler: 0 draws all classes alike, 1 by inverse size.
        distill_weight: omega_d, the share of the distillation in the loss; 0 for none.
        distill_temperature: tau_d.
        encoder: ``frozen``, or ``tuned`` along.
        lr: Peak rate of the classifier.
        encoder_lr: Peak rate of a tuned encoder; none for the classifier's.
        classifier: ``reused`` from the stage before, or a ``new`` one, as in cRT.
        inputs: With a frozen encoder: ``features`` trains on cached embeddings of plain images; ``images`` on embeddings of
            augmented ones.
    """

    name = "iccl_rebalance"
    leaves = "linear"
    below = "iccl"

    def __init__(self, facts: ltbench.Facts, *, gamma: Annotated[float, ltbench.Interval(), ltbench.Uniform(0.0, 1.0)] = 1.0,
                 distill_weight: Annotated[float, ltbench.Interval(ge=0, lt=1)] = 0.5,
                 distill_temperature: ltbench.Positive = 10.0, encoder: Literal["frozen", "tuned"] = "frozen",
                 lr: ltbench.Positive = 0.01, encoder_lr: ltbench.Positive | None = None,
                 classifier: Literal["reused", "new"] = "reused",
                 inputs: Literal["features", "images"] = "features") -> None:
        super().__init__(facts)
        self.gamma = gamma
        self.distill_weight = distill_weight
        self.distill_temperature = distill_temperature
        self.backbone = encoder
        self.lr = lr
        self.encoder_lr = lr if encoder_lr is None else encoder_lr
        self.classifier = classifier
        self.needs = frozenset({"linear"} if classifier == "reused" else ())
        self.inputs = "images" if inputs == "images" or encoder == "tuned" else None  # features are a stage's default

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of section 4.2."""
        return setting.rebalancing(task)

    def reuse(self, linear: nn.Linear) -> nn.Module:
        """Return the earlier classifier, or the new one of a stage's start, free to learn."""
        return linear.requires_grad_(True)

    def setup(self, ctx: ltbench.Context) -> None:
        """Take over the earlier classifier, unless a new one is asked for."""
        if self.classifier == "reused":
            super().setup(ctx)

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the class-aware stream."""
        return {"main": ltbench.ClassAware(self.gamma)}

    def parameter_groups(self, ctx: ltbench.Context) -> list[ltbench.ParameterGroup]:
        """Return classifier and encoder at their rates."""
        return [ltbench.ParameterGroup(list(ctx.engine.head.parameters()), lr=self.lr),
                ltbench.ParameterGroup(list(ctx.engine.backbone.parameters()), lr=self.encoder_lr)]

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Return eq. 9's loss; a frozen encoder embeds an image once for both classifiers."""
        step = ctx.default_step(batches["main"])
        if not self.distill_weight or ctx.previous is None:
            return step
        batch = step.batch
        with torch.no_grad():
            shared = self.backbone == "frozen"
            taught = dataclasses.replace(batch, embedding=step.output.embedding) if shared else batch
            teacher = ctx.previous.output(taught).logits
        losses = distillation_losses(teacher, step.output.logits, self.distill_temperature)
        distillation = losses.sum() * batch.chunks / len(batch.global_labels)
        return dataclasses.replace(step, loss=(1 - self.distill_weight) * step.loss + self.distill_weight * distillation)
