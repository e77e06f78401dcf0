"""MaxNorm (Alshammari et al., 2022): the second stage of weight balancing."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

import ltbench
from ltbench_baselines.cb import Beta, effective_number_weights
from ltbench_baselines.wd import WeightDecay


def project_rows(weight: Tensor, radius: Tensor) -> Tensor:
    """Return the nearest matrix whose rows lie in a ball around the origin, shape (C, d).

    Args:
        weight: Shape (C, d).
        radius: Scalar.
    """
    norms: Tensor = weight.norm(dim=1, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)  # (C, 1)
    return weight * (radius / norms).clamp_max(1)


class MaxNorm(ltbench.ReusedClassifier):
    """Fine-tune the earlier classifier with class-balanced weights, its weight vectors kept in a ball.

    After every step each vector that left the ball is put back on its surface: large classes are held, small ones may grow.

    Args:
        radius_fraction: Where the radius lies between the smallest (0) and the largest (1) norm of the earlier classifier.
        beta: Of the class-balanced loss weights.
    """

    name = "maxnorm"
    leaves = "linear"
    weights: Tensor
    radius: Tensor

    def __init__(self, facts: ltbench.Facts, *, radius_fraction: Annotated[ltbench.Fraction, ltbench.Uniform(0.0, 1.0)] = 0.1,
                 beta: Beta = 0.9999, inputs: Literal["features", "images"] = "features") -> None:
        super().__init__(facts, inputs=inputs)
        self.radius_fraction = radius_fraction
        self.register_buffer("weights", effective_number_weights(facts.class_counts, beta))  # (C,)
        self.register_buffer("radius", torch.zeros(()))

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting on CIFAR-100: 10 epochs at batch 64 and lr .01, weight decay .1, on the tuned first stage."""
        if task.dataset != "cifar100-lt":
            return None
        protocol = {"stage2_draws": 10.0, "stage2_batch_size": 64, "stage2_lr": 0.01, "stage2_weight_decay": 0.1,
                    "stage2_schedule": "cosine", "augmentation": ("crop", "flip")}
        tuned = WeightDecay.paper(task)
        return ltbench.PaperSetting(protocol=protocol, hyperparameters={"inputs": "images"}, stage1="wd",
                                    stage1_protocol=tuned.protocol if tuned else {},
                                    alternatives=tuned.alternatives if tuned else {})

    def reuse(self, linear: nn.Linear) -> nn.Module:
        """Return the earlier classifier, free to learn."""
        return linear.requires_grad_(True)

    def class_weights(self, ctx: ltbench.Context) -> Tensor | None:
        """Return the class-balanced weights, shape (C,)."""
        return self.weights

    def fit(self, ctx: ltbench.Context) -> None:
        """Fix the radius by the norms that the earlier stage left."""
        norms = self._weight(ctx).norm(dim=1)
        self.radius.copy_(norms.min() + self.radius_fraction * (norms.max() - norms.min()))

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Project the weight vectors; the bias is free."""
        weight = self._weight(ctx)
        weight.copy_(project_rows(weight, self.radius))

    @staticmethod
    def _weight(ctx: ltbench.Context) -> Tensor:
        return ctx.classifier(nn.Linear).weight.detach()  # shares memory with the parameter
