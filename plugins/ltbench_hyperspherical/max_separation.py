"""Maximum class separation by one fixed matrix (Kasarla et al., 2022)."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

import ltbench


class SimplexClassifier(nn.Module):
    """Multiply C - 1 outputs with the matrix whose columns are the vertices of a regular simplex, by the paper's recursion.

    The column of class i is -1/k in rows above the i-th, then one number, then zeros. So a class's logit is a running sum
    of the outputs before it and one more: no matrix is needed, which for 8,142 classes would take 250 MiB.

    Args:
        outputs: C - 1.
        classes: C, at least 2.
        radius: rho, by which the vertices are multiplied.
    """

    own: Tensor
    below: Tensor

    def __init__(self, outputs: int, classes: int, radius: float) -> None:
        super().__init__()
        if outputs != classes - 1:
            raise ltbench.UserError(f"max_separation needs {classes - 1} outputs for {classes} classes, got {outputs}")
        left = torch.arange(outputs, 0, -1, dtype=torch.float64)  # k of row r: C - 1, ..., 1
        # The product of sqrt(1 - 1/k^2) over the rows before, in closed form.
        own = (classes * left / (outputs * (left + 1))).sqrt()
        self.register_buffer("own", (radius * own).float())  # (C - 1,)
        self.register_buffer("below", (-radius * own / left).float())  # (C - 1,)

    def forward(self, outputs: Tensor) -> Tensor:
        """Return logits, at least float32, shape (B, C)."""
        with torch.autocast(outputs.device.type, enabled=False):  # a running sum in half precision would lose its digits
            outputs = outputs.to(torch.promote_types(outputs.dtype, self.own.dtype))
            none = outputs.new_zeros(len(outputs), 1)
            before = torch.cat([none, (outputs * self.below).cumsum(dim=1)], dim=1)
            return before + torch.cat([outputs * self.own, none], dim=1)


class MaximumSeparation(ltbench.Method):
    """Let a network with C - 1 outputs end in a fixed matrix that holds all classes equally far apart; train with any loss.

    Args:
        radius: rho, of the vertices; the smaller it is, the larger outputs must grow.
    """

    name = "max_separation"
    stages = frozenset({1})
    leaves = "SimplexClassifier"

    def __init__(self, facts: ltbench.Facts, *,
                 radius: Annotated[ltbench.Positive, ltbench.LogUniform(0.01, 10.0)] = 1.0) -> None:
        super().__init__(facts)
        self.radius = radius

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting on long-tailed CIFAR, with the radius of residual networks."""
        if task.dataset not in ("cifar10-lt", "cifar100-lt"):
            return None
        return ltbench.PaperSetting(hyperparameters={"radius": 0.1}, protocol={
            "backbone": "resnet34cifar", "epochs": 200, "batch_size": 512, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9,
            "weight_decay": 5e-4, "schedule": "cosine", "warmup": 0.0, "augmentation": ("crop", "flip")})

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return the fixed classifier."""
        return SimplexClassifier(feature_dim, num_classes, self.radius)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the network's last layer, to C - 1 outputs, and the matrix."""
        outputs = make.num_classes - 1
        return make.head(make.classifier(outputs), nn.Linear(make.feature_dim, outputs))
