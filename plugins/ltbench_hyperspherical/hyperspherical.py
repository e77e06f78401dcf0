"""Hyperspherical classification with dynamic label-to-prototype assignment (Saadabadi et al., 2024, algorithm 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench
from ltbench_hyperspherical import setting
from ltbench_hyperspherical.assignment import assign, objective, update_means
from ltbench_hyperspherical.fixed import Dimension, FixedPrototypes, HeadKind, Reduction, UnitPrototypes, Weights
from ltbench_hyperspherical.from_file import read_prototypes
from ltbench_hyperspherical.prototypes import Recipe, estimate

Momentum = Annotated[float, ltbench.Interval(ge=0, lt=1)]


class Hyperspherical(FixedPrototypes):
    """Pull features to evenly spread prototypes that stay, and let the labels that they stand for move.

    Separation is given, not learned: no class has less of it for being small. Which class lies beside which is left to the
    features: labels are matched anew with prototypes as the class means come to lie.

    Args:
        dim: d; none for half the number of classes, which is where the paper's method does best (table 2).
        dynamic: Whether labels are reassigned; false keeps the first assignment (figure 4a).
        reassign_every: Optimizer steps between assignments (tau); 0 for once an epoch, as in the paper's main experiments.
        momentum: alpha of the running class means.
        renormalize: Whether running means are brought back to length 1 after every batch.
        prototype_seed: Of the prototypes: runs with other seeds stand on the same ones, as in section 3.2.1.
        recipe: How prototypes are spread: ``best``, ``paper`` for the descent of section 4.1, or ``file`` for somebody else's.
        prototypes_file: For ``file``: where they are, relative to the folder that ltbench is run in.
        prototypes_sha256: For ``file``: the first 16 digits or more of its SHA-256, so that a record says which they are.
        head: ``linear``, or ``batch_norm``: of the embedding itself where d is its width, else behind a linear layer.
        reduction: ``mean``, over a batch, of half the squared distance (eq. 6); ``sum``, of the whole one (eqs. 1 and 2).
        weights: ``batch`` lets every class of a batch count alike, whatever its images in it; mixed ones count as drawn.
    """

    name = "hyperspherical"
    stages = frozenset({1})
    means: Tensor
    before: Tensor
    steps: Tensor
    estimate = staticmethod(estimate)  # for whoever draws prototypes and assignments without training
    assign = staticmethod(assign)

    def __init__(self, facts: ltbench.Facts, *, dim: Dimension = None, dynamic: bool = True,
                 reassign_every: Annotated[int, ltbench.Interval(ge=0)] = 0, momentum: Momentum = 0.9, renormalize: bool = False,
                 prototype_seed: int = 0, recipe: Recipe = "best", prototypes_file: str = "none",
                 prototypes_sha256: str = "none", head: HeadKind = "linear", reduction: Reduction = "mean",
                 weights: Weights = "none") -> None:
        super().__init__(facts, dim=max(2, facts.num_classes // 2) if dim is None else dim, prototype_seed=prototype_seed,
                         head=head, reduction=reduction, weights=weights)
        if len({recipe == "file", prototypes_file != "none", prototypes_sha256 != "none"}) > 1:
            raise ValueError("recipe=file, prototypes_file and prototypes_sha256 go together: give all of them or none")
        self.dynamic = dynamic
        self.reassign_every = reassign_every
        self.momentum = momentum
        self.renormalize = renormalize
        self.recipe: Recipe = recipe
        self.prototypes_file = prototypes_file
        self.prototypes_sha256 = prototypes_sha256
        self._taken = 0
        self.register_buffer("means", torch.zeros(facts.num_classes, self.dim))  # Q, (C, d)
        self.register_buffer("before", torch.arange(facts.num_classes))  # the assignment at the start of the epoch, (C,)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of section 7."""
        return setting.of_fixed(task, {"dim": setting.DIMENSIONS[task.dataset]}) if task.dataset in setting.DIMENSIONS else None

    def prototypes(self, ctx: ltbench.Context) -> Tensor:
        """Return evenly spread prototypes, shape (C, d)."""
        if self.recipe == "file":
            return read_prototypes(self.prototypes_file, self.prototypes_sha256, self.dim, self.facts.num_classes)
        return estimate(self.dim, self.facts.num_classes, self.prototype_seed, self.recipe)

    def start_epoch(self, ctx: ltbench.Context) -> None:
        """Remember the assignment, for the churn, and the steps taken: reading them every step would wait for the device."""
        self.before.copy_(ctx.classifier(UnitPrototypes).assignment)
        self._taken = int(self.steps)

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Update the running class means of unit features (algorithm 1, line 11); where images are mixed, of the drawn label."""
        means = update_means(self.means, F.normalize(seen.features.to(self.means.dtype), dim=1), seen.labels, self.momentum)
        self.means.copy_(F.normalize(means, dim=1) if self.renormalize else means)
        self.steps += 1
        self._taken += 1
        if self.reassign_every and self._taken % self.reassign_every == 0:
            self._reassign(ctx)

    def end_epoch(self, ctx: ltbench.Context) -> None:
        """Reassign (algorithm 1, line 15); saving and evaluation come after, so both see the same assignment."""
        if not self.reassign_every:
            self._reassign(ctx)

    def _reassign(self, ctx: ltbench.Context) -> None:
        if self.dynamic:
            classifier = ctx.classifier(UnitPrototypes)
            classifier.assignment.copy_(assign(self.means, classifier.prototypes, classifier.assignment))

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        """Return the share of labels that moved in the epoch (figure 4b), eq. 9's mean, and the prototypes' largest cosine."""
        classifier = ctx.classifier(UnitPrototypes)
        return {"churn": float((classifier.assignment != self.before).float().mean()),
                "objective": float(objective(self.means, classifier.prototypes, classifier.assignment)),
                **super().measure(ctx)}
