"""Center loss (Wen et al., 2016, eqs. 2 to 4): the rival of the neural-collapse regularizers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn

import ltbench
from ltbench_nc import liu_2023
from ltbench_nc.members import feature_width, members_of, sizes_in_batch


class CenterLoss(ltbench.Method):
    """Draw every feature to the center of its class, all with equal force; centers follow the features.

    Args:
        weight: lambda, of half the squared distance, averaged over the batch.
        rate: alpha, the part of its way to the batch that a center goes in a step (eq. 4).
        start: Fraction of the training after which it applies.
    """

    name = "center_loss"
    stages = frozenset({1})
    centers: nn.Parameter

    def __init__(self, facts: ltbench.Facts, *, weight: ltbench.NonNegative = 0.003,
                 rate: Annotated[float, ltbench.Interval(gt=0, le=1)] = 0.5, start: ltbench.Fraction = 0.0) -> None:
        super().__init__(facts)
        self.weight = weight
        self.rate = rate
        self.start = start

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of the rows "center loss" in Liu et al. (2023, table 7)."""
        if task.dataset not in liu_2023.TABLE_1:
            return None
        within, _, start = liu_2023.TABLE_1[task.dataset]
        return liu_2023.setting(task, {"weight": 2 * within, "start": start})  # their code leaves out the factor 1/2

    def setup(self, ctx: ltbench.Context) -> None:
        """Place all centers at the origin.

        Raises:
            UserError: If the optimizer is not SGD, whose step on the centers is eq. 4.
        """
        if ctx.protocol.optimizer != "sgd":
            raise ltbench.UserError(f"'center_loss' needs the optimizer sgd, got {ctx.protocol.optimizer}")
        self.centers = nn.Parameter(torch.zeros(self.facts.num_classes, feature_width(ctx), device=ctx.device))

    def parameter_groups(self, ctx: ltbench.Context) -> list[ltbench.ParameterGroup]:
        """Return the centers."""
        return [ltbench.ParameterGroup([self.centers], lr=self.rate, weight_decay=0.0, momentum=0.0, schedule="constant")]

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        """Return lambda L_C (eq. 2), with the update of the centers in its gradient; summed over experts.

        Features are drawn to centers held fixed; centers get the gradient of eq. 4, whatever lambda is. It adds no value.
        """
        if ctx.progress < self.start:
            return {"center": 0.0 * self.centers.sum()}  # distributed training wants a gradient for every parameter
        with torch.autocast(step.output.features.device.type, enabled=False):
            members = members_of(step)
            sizes = sizes_in_batch(members, step)  # (S,)
            total = members.shares.new_zeros(())
            for features, centers in zip(members.features, self.centers.chunk(len(members.features), dim=1), strict=True):
                own = centers[members.labels]  # (S, d)
                pull = members.shares * (features - own.detach()).square().sum(dim=1)
                # Parts of a batch are averaged; a center follows the sum over all of them.
                follow = step.batch.chunks * members.shares / (1 + sizes) * (features.detach() - own).square().sum(dim=1)
                total = total + 0.5 * (self.weight * pull.sum() / len(step.batch.labels) + follow.sum() - follow.sum().detach())
        return {"center": total}
