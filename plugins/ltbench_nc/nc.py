"""Neural-collapse regularizers (Liu et al., 2023, eqs. 13 to 16)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

import ltbench
from ltbench_nc import liu_2023
from ltbench_nc.angles import summarize_angles
from ltbench_nc.centers import means_by_class, moved_centers, with_batch_means, with_centers
from ltbench_nc.losses import between_loss, smallest_between_loss, within_weights
from ltbench_nc.members import Members, count_experts, everywhere, feature_width, members_of, sizes_in_batch


class NeuralCollapse(ltbench.Method):
    """Draw features to the mean of their class, and the class means away from each other, beside any loss.

    Balanced training ends in such a geometry by itself; under a long tail small classes move towards large ones. Each term is
    left out where its weight is 0.

    L_W has one scale, whatever the means are and however a batch is split: the sum of eq. 13 divided by C, so that lambda_1 is
    the printed one. The mean over the batches of an epoch is that sum over the training set.

    Args:
        within_weight: lambda_1, of the distances to the class mean (eq. 13).
        between_weight: lambda_2, of the angles between class means (eq. 15).
        start: Fraction of the training after which both apply. The defaults are those of CIFAR-100.
        means: ``batch`` takes the class means of the batch, and gradients go through them; ``learned`` keeps centers as
            parameters with an SGD of their own, as the public code does; ``running`` keeps centers that each batch moves towards
            its means, and gradients go through the move.
        class_sizes: n_k of eq. 13: of the ``training`` set, or of the ``batch``, as in the public code.
        means_lr: Of learned means; their gradient is divided by lambda_1.
        means_rate: The part of its way to the batch's mean that a running center goes in a step.
        experts: Where a head has experts: regularize the ``mean`` of their features, as the public code does, or ``each`` one's.
        between: L_B as the ``mean`` over classes of the smallest angle (eq. 15), or as the one ``smallest`` angle of all.
    """

    name = "nc"
    stages = frozenset({1})
    sums: Tensor
    counts: Tensor
    class_means: nn.Parameter | None
    centers: Tensor
    placed: Tensor

    def __init__(self, facts: ltbench.Facts, *,
                 within_weight: Annotated[ltbench.NonNegative, ltbench.LogUniform(1e-3, 1.0)] = 0.01,
                 between_weight: Annotated[ltbench.NonNegative, ltbench.LogUniform(1e-2, 1.0)] = 0.5,
                 start: ltbench.Fraction = 0.5, means: Literal["batch", "learned", "running"] = "batch",
                 class_sizes: Literal["training", "batch"] = "training", means_lr: ltbench.Positive = 0.5,
                 means_rate: Annotated[float, ltbench.Interval(gt=0, le=1)] = 0.5, experts: Literal["mean", "each"] = "mean",
                 between: Literal["mean", "smallest"] = "mean") -> None:
        super().__init__(facts)
        if means == "learned" and within_weight == 0:  # nothing else ties learned means to the features
            raise ValueError("within_weight must be > 0 where means are learned (means=running needs none), got 0")
        self.within_weight = within_weight
        self.between_weight = between_weight
        self.start = start
        self.means = means
        self.sizes_of_batch = class_sizes == "batch"
        self.means_lr = means_lr
        self.means_rate = means_rate
        self.experts = experts
        self.between = between_loss if between == "mean" else smallest_between_loss
        self._arrived: list[tuple[Tensor, Tensor]] = []  # means of the step's batches, on their way into the running centers
        self.register_parameter("class_means", None)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of section 4.1.1 with the row of table 1."""
        if task.dataset not in liu_2023.TABLE_1:
            return None
        within, between, start = liu_2023.TABLE_1[task.dataset]
        return liu_2023.setting(task, {"within_weight": within, "between_weight": between, "start": start, "means": "learned"})

    def setup(self, ctx: ltbench.Context) -> None:
        """Make room for class means as wide as the features are.

        Raises:
            UserError: If means are to be learned under another optimizer than SGD, whose rate would mean something else.
        """
        classes, width = self.facts.num_classes, feature_width(ctx)
        self.register_buffer("sums", torch.zeros(classes, width, device=ctx.device))
        self.register_buffer("counts", torch.zeros(classes, device=ctx.device))
        centers = (classes, width // count_experts(ctx) if self.experts == "mean" else width)
        if self.means == "running":
            self.register_buffer("centers", torch.zeros(centers, device=ctx.device))
            self.register_buffer("placed", torch.zeros(classes, dtype=torch.bool, device=ctx.device))
        if self.means == "learned":
            if ctx.protocol.optimizer != "sgd":
                raise ltbench.UserError(f"learned means of 'nc' need the optimizer sgd, got {ctx.protocol.optimizer}")
            self.class_means = nn.Parameter(torch.randn(centers).to(ctx.device))

    def parameter_groups(self, ctx: ltbench.Context) -> list[ltbench.ParameterGroup]:
        """Return the learned means. A gradient divided by lambda_1 is, under plain SGD, a rate divided by it."""
        if self.class_means is None:
            return []
        return [ltbench.ParameterGroup([self.class_means], lr=self.means_lr / self.within_weight, weight_decay=0.0, momentum=0.0,
                                       schedule="constant")]

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        """Return lambda_1 L_W and lambda_2 L_B (eq. 16), summed over experts that are regularized one by one.

        The means of a batch are those of all processes' images in one accumulation step; every process computes the same loss.
        """
        if ctx.progress < self.start:
            # Distributed training wants a gradient for every parameter, in every step.
            return {} if self.class_means is None else {"nc_within": 0.0 * self.class_means.sum()}
        with torch.autocast(step.output.features.device.type, enabled=False):
            within, between = self._losses(ctx, step)
        losses = {}
        if self.within_weight > 0:
            losses["nc_within"] = self.within_weight * within
        if self.between_weight > 0:
            losses["nc_between"] = self.between_weight * between
        return losses

    def _losses(self, ctx: ltbench.Context, step: ltbench.Step) -> tuple[Tensor, Tensor]:
        members = everywhere(members_of(step, self.experts), ctx.gather)
        weights = self._weights(ctx, members, step)
        if self.means == "batch":
            losses = [with_batch_means(members, features, weights, self.between) for features in members.features]
        else:
            centers, placed = self._centers(members)
            parts = zip(members.features, centers.chunk(len(members.features), dim=1), strict=True)
            losses = [with_centers(members, features, weights, self.between, own, placed) for features, own in parts]
        within, between = zip(*losses, strict=True)
        return sum(within, weights.new_zeros(())), sum(between, weights.new_zeros(()))

    def _weights(self, ctx: ltbench.Context, members: Members, step: ltbench.Step) -> Tensor:
        """Return the weight of each entry's squared distance, shape (S,); the class says on which scale."""
        sizes = sizes_in_batch(members, step) if self.sizes_of_batch else ctx.class_counts[members.labels]
        weights = within_weights(members, sizes, self.facts.num_classes)
        # Eq. 13 sums over the whole batch, of which these are a part; the loop averages over parts.
        weights = weights * (len(step.batch.global_labels) * len(step.batch.targets) / len(members.labels))
        if not self.sizes_of_batch:  # it sums over all N images, of which the global batch holds a share
            weights = weights / (len(step.batch.global_labels) / ctx.class_counts.sum())
        return weights

    def _centers(self, members: Members) -> tuple[Tensor, Tensor]:
        """Return the centers that outlive a batch, of all regularized experts side by side, and which classes have one."""
        if self.class_means is not None:
            return self.class_means, torch.ones_like(self.class_means[:, 0], dtype=torch.bool)
        means, present = means_by_class(members, torch.cat(members.features, dim=1), self.facts.num_classes)
        self._arrived.append((means.detach(), present))
        return moved_centers(self.centers, self.placed, means, present, self.means_rate), self.placed | present

    def start_epoch(self, ctx: ltbench.Context) -> None:
        """Forget the class means of the epoch before."""
        self._arrived.clear()
        self.sums.zero_()
        self.counts.zero_()

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Move running centers, and add the batch to the epoch's class means: figures without another pass over the images."""
        for means, present in self._arrived:
            self.centers.copy_(moved_centers(self.centers, self.placed, means, present, self.means_rate))
            self.placed |= present
        self._arrived.clear()
        together = (seen.labels[:, None] == seen.labels).to(self.sums.dtype)  # (G, G)
        # Entries of one class write one value: unlike a sum in place, it does not depend on their order.
        self.sums[seen.labels] = self.sums[seen.labels] + together @ seen.features.to(self.sums.dtype)
        self.counts[seen.labels] = self.counts[seen.labels] + together.sum(dim=1)

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        """Return smallest and mean angle, in degrees, between the epoch's centered class means; nothing before the first step.

        The features are those of training: augmented, in training mode, and mixed where images are mixed.
        """
        return summarize_angles(self.sums / self.counts.clamp_min(1)[:, None], self.counts > 0)
