"""What the learned nearest-mean classifiers share: loss, sampling and optimization (Learned NCM paper, eqs. 3 and 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch.nn.functional as F
from torch import Tensor

import ltbench
from ltbench_ncm.setting import setting

Inputs = Literal["features", "images"]
Tau = Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 1.0)]


class LearnedDistance(ltbench.Method):
    """Learn what a distance classifier is made of, on class-balanced samples over a frozen backbone.

    Args:
        tau: Weight of the logit adjustment in training (eq. 9); 0 for none.
        lr: Of all that is learned.
        clip_norm: Largest norm of the gradient on all of it together.
        inputs: ``features`` trains on cached embeddings of plain images; ``images`` on embeddings of augmented ones.
    """

    stages = frozenset({2})
    shift: Tensor

    def __init__(self, facts: ltbench.Facts, *, tau: Tau = 0.0, lr: ltbench.Positive = 5.0,
                 clip_norm: ltbench.Positive = 0.1, inputs: Inputs = "features") -> None:
        super().__init__(facts)
        self.lr = lr
        self.clip_norm = clip_norm
        self.inputs = "images" if inputs == "images" else None  # features are a stage's default
        self.register_buffer("shift", (tau * facts.log_counts).float())  # tau log N_y, (C,)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of section 5.2."""
        return setting(task, learned=True)

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the class-balanced stream."""
        return {"main": ltbench.ClassBalanced()}

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return eq. 9, shape (B,); the adjustment is for training only."""
        return F.cross_entropy(logits + self.shift, labels, reduction="none")

    def parameter_groups(self, ctx: ltbench.Context) -> list[ltbench.ParameterGroup]:
        """Return all that is learned as one group: its gradient is clipped as one vector.

        No weight decay is printed; it would draw centroids to an origin that means nothing to a distance.
        """
        learned = [parameter for parameter in ctx.engine.head.parameters() if parameter.requires_grad]
        return [ltbench.ParameterGroup(learned, lr=self.lr, weight_decay=0.0, clip_norm=self.clip_norm)]
