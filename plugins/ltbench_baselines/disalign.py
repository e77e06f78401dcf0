"""Distribution alignment, DisAlign (Zhang et al., 2021): adaptive calibration and generalized re-weighting."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

import ltbench

_CONFIDENCE_WEIGHT = 0.1  # where the public code starts every weight of the confidence layer


def generalized_weights(log_counts: Tensor, rho: float) -> Tensor:
    """Return (1 / r_k)^rho, r the class frequencies, scaled to sum C, shape (C,).

    Args:
        log_counts: Logarithms of each class's training images, shape (C,).
        rho: 0 weighs all classes alike, 1 by inverse frequency.
    """
    return ((-rho * log_counts).softmax(dim=0) * len(log_counts)).float()


class CalibratedClassifier(nn.Module):
    """Calibrate the logits z of a frozen classifier by class, as far as the image asks for it.

    Args:
        linear: Frozen.
        additive: Whether logits become (1 + sigma alpha) z + sigma beta, or sigma (alpha z + beta) + (1 - sigma) z.

    Attributes:
        magnitude: alpha, shape (C,), ones at the start.
        margin: beta, shape (C,), zeros at the start.
        confidence: Features (B, d) -> (B, 1), whose sigmoid is sigma.
    """

    def __init__(self, linear: nn.Linear, additive: bool) -> None:
        super().__init__()
        self.linear = linear
        self.additive = additive
        self.magnitude = nn.Parameter(torch.ones_like(linear.weight[:, 0]))
        self.margin = nn.Parameter(torch.zeros_like(linear.weight[:, 0]))
        self.confidence = nn.Linear(linear.in_features, 1, device=linear.weight.device, dtype=linear.weight.dtype)
        nn.init.constant_(self.confidence.weight, _CONFIDENCE_WEIGHT)
        nn.init.zeros_(self.confidence.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return calibrated logits, shape (B, C)."""
        logits: Tensor = self.linear(features)
        confidence: Tensor = self.confidence(features).sigmoid()  # (B, 1)
        magnitude = self.magnitude if self.additive else self.magnitude - 1
        return (1 + confidence * magnitude) * logits + confidence * self.margin


class DistributionAlignment(ltbench.ReusedClassifier):
    """Learn how to change the earlier classifier's logits: a magnitude and a margin by class, a confidence by image.

    Its loss weighs classes by a power of their inverse frequency; backbone and classifier stay as they are.

    Args:
        rho: Power of the inverse class frequency in the loss weights.
        form: ``additive``, as the public code for classification computes; ``interpolated`` between calibrated and earlier
            logits, which starts at the earlier ones. Both reach the same functions.
    """

    name = "disalign"
    leaves = "CalibratedClassifier"
    weights: Tensor

    def __init__(self, facts: ltbench.Facts, *, rho: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 3.0)] = 1.2,
                 form: Literal["additive", "interpolated"] = "additive",
                 inputs: Literal["features", "images"] = "features") -> None:
        super().__init__(facts, inputs=inputs)
        self.form = form
        self.register_buffer("weights", generalized_weights(facts.log_counts, rho))  # (C,)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting on ImageNet-LT: ten epochs over augmented images at batch 256 and lr .1."""
        if task.dataset != "imagenet-lt":
            return None
        protocol = {"stage2_draws": 10.0, "stage2_batch_size": 256, "stage2_lr": 0.1, "stage2_weight_decay": 5e-4,
                    "stage2_schedule": "cosine", "momentum": 0.9}
        stage1 = {"backbone": "timm:resnext50_32x4d", "epochs": 90, "batch_size": 256, "lr": 0.1, "momentum": 0.9,
                  "weight_decay": 5e-4, "schedule": "cosine", "warmup": 0.0}
        return ltbench.PaperSetting(protocol=protocol, hyperparameters={"inputs": "images"}, stage1="ce", stage1_protocol=stage1)

    def reuse(self, linear: nn.Linear) -> nn.Module:
        """Return the calibrated classifier."""
        return CalibratedClassifier(linear, additive=self.form == "additive")

    def class_weights(self, ctx: ltbench.Context) -> Tensor | None:
        """Return the generalized weights, shape (C,)."""
        return self.weights
