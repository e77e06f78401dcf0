"""SHIKE's second part (Jin et al., 2023, section 3): a new classifier for each expert, by the balanced softmax."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_experts.shike import CIFAR


class ExpertRebalancing(ltbench.Method):
    """Train a new cosine classifier for each expert of the stage before, by the balanced softmax; the experts stay as they are.

    Args:
        experts: E, as in the stage before.
        scale: By what cosines are multiplied.
        inputs: ``features`` trains on cached embeddings of plain images; ``images`` on embeddings of augmented ones.
        batch_norm_drift: Whether the backbone's batch-norm statistics go on following the images, as in the public code; needs
            images, and takes them.
    """

    name = "shike_rebalance"
    stages = frozenset({2})
    below = "shike"
    needs = frozenset({"ExpertHead"})
    leaves = "ExpertHead"
    log_counts: Tensor

    def __init__(self, facts: ltbench.Facts, *, experts: Annotated[int, ltbench.Interval(ge=2)] = 3,
                 scale: ltbench.Positive = 30.0, inputs: Literal["features", "images"] = "features",
                 batch_norm_drift: bool = False) -> None:
        super().__init__(facts)
        self.experts, self.scale = experts, scale
        # Features are the default of a stage, not a demand: a method that needs images may join.
        self.inputs = "images" if inputs == "images" or batch_norm_drift else None
        self.backbone = "drifting" if batch_norm_drift else None
        self.register_buffer("log_counts", facts.log_counts.float())  # (C,)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting: the last 20 of 200 epochs."""
        if task.dataset != "cifar100-lt":
            return None
        protocol = {"stage2_draws": 20.0, "stage2_batch_size": 128, "stage2_lr": 0.1, "stage2_schedule": "cosine",
                    "stage2_weight_decay": 5e-4, **{name: CIFAR[name] for name in ("optimizer", "momentum", "augmentation")}}
        return ltbench.PaperSetting(protocol=protocol, hyperparameters={"inputs": "images"}, stage1="shike",
                                    stage1_protocol=CIFAR)

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return a classifier by scaled cosines."""
        return ltbench.CosineClassifier(feature_dim, num_classes, self.scale)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return one classifier an expert."""
        return ltbench.ExpertHead([make.classifier(make.feature_dim // self.experts) for _ in range(self.experts)])

    def setup(self, ctx: ltbench.Context) -> None:
        """Compare with the stage before.

        Raises:
            UserError: If it has another number of experts.
        """
        before = getattr(getattr(ctx.previous, "head", None), "classifiers", ())
        if len(before) != self.experts:
            raise ltbench.UserError(
                f"experts of 'shike_rebalance' must be {len(before)}, as in the stage before, got {self.experts}")

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the balanced softmax's loss of every sample, shape (B,)."""
        return F.cross_entropy(logits + self.log_counts, labels, reduction="none")

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Sum the losses of the classifiers, each on its own expert's features."""
        mixed = ctx.mix(batches["main"])
        output = ctx.forward(mixed)
        losses = [ctx.loss(each, mixed) for each in output.extra["expert_logits"].unbind(dim=1)]
        return ltbench.Step(torch.stack(losses).sum(), output, mixed)
