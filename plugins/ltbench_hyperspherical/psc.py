"""The parametric softmax classifier, with prototypes kept apart or fixed (Saadabadi et al., 2024, tables 8 and 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

import ltbench
from ltbench_hyperspherical import setting
from ltbench_hyperspherical.fixed import Dimension
from ltbench_hyperspherical.prototypes import estimate
from ltbench_hyperspherical.spread import largest_cosine, uniformity

_SUBSET = 1024  # prototypes compared with all others in a step, where there are more


class ParametricSoftmax(ltbench.Method):
    """Train a linear classifier without bias on projected features, by cross-entropy.

    The paper's baseline, with its ways to spread the classifier's weight vectors: a loss beside the cross-entropy, or vectors
    that are spread beforehand and fixed.

    Args:
        dim: d, to which embeddings are projected; none to classify the embedding itself.
        uniformity: lambda, the weight of L_uni (table 8 has 0.01 as PSC*, figure 3d a sweep); 0 for none.
        prototypes: ``learned``, or ``fixed`` for evenly spread ones that stay (table 9).
        prototype_seed: Of fixed prototypes.
    """

    name = "psc"
    leaves = "linear"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, dim: Dimension = None, uniformity: ltbench.NonNegative = 0.0,
                 prototypes: Literal["learned", "fixed"] = "learned", prototype_seed: int = 0) -> None:
        super().__init__(facts)
        if uniformity > 0 and prototypes == "fixed":
            raise ValueError(f"uniformity must be 0 with fixed prototypes, got {uniformity}")
        self.dim = dim
        self.uniformity = uniformity
        self.fixed = prototypes == "fixed"
        self.prototype_seed = prototype_seed

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of section 7, which is that of the paper's own method."""
        return setting.of(task)

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return the linear classifier; a weight vector is a prototype."""
        return nn.Linear(feature_dim, num_classes, bias=False).requires_grad_(not self.fixed)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head, with a projection where d is given."""
        return make.head(make.classifier(self.dim), None if self.dim is None else nn.Linear(make.feature_dim, self.dim))

    def setup(self, ctx: ltbench.Context) -> None:
        """Set fixed prototypes."""
        if self.fixed:
            weight = ctx.classifier(nn.Linear).weight
            with torch.no_grad():
                weight.copy_(estimate(weight.shape[1], weight.shape[0], self.prototype_seed))

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        """Return lambda L_uni of the classifier's weight vectors (eq. 5; table 8's PSC*)."""
        if self.uniformity == 0:
            return {}
        weight = ctx.classifier(nn.Linear).weight
        rows = None
        if len(weight) > _SUBSET:
            rows = torch.randperm(len(weight), generator=ctx.generator)[:_SUBSET].to(weight.device, non_blocking=True)
        return {"uniformity": self.uniformity * uniformity(weight.float(), rows=rows)}

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        """Return the largest cosine between weight vectors."""
        return {"largest_cosine": largest_cosine(ctx.classifier(nn.Linear).weight)}
