"""The parametric softmax classifier, with prototypes kept apart or fixed (Saadabadi et al., 2024, tables 8 and 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_hyperspherical import setting
from ltbench_hyperspherical.fixed import Dimension
from ltbench_hyperspherical.prototypes import estimate
from ltbench_hyperspherical.spread import largest_cosine, uniformity

_SUBSET = 1024  # prototypes compared with all others in a step, where there are more


class CosineSoftmax(nn.Linear):
    """Score a class by a scaled cosine.

    Args:
        scale: By what cosines are multiplied.
    """

    def __init__(self, features: int, classes: int, scale: float) -> None:
        super().__init__(features, classes, bias=False)
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, shape (B, C)."""
        return self.scale * F.linear(F.normalize(features, dim=1), F.normalize(self.weight, dim=1))


class ParametricSoftmax(ltbench.Method):
    """Train a linear classifier without bias on projected features, by cross-entropy.

    The paper's baseline, with its ways to spread the classifier's weight vectors: a loss beside the cross-entropy, or vectors
    that are spread beforehand and fixed.

    Args:
        dim: d, to which embeddings are projected; none to classify the embedding itself.
        uniformity: lambda, the weight of L_uni (table 8 has 0.01 as PSC*, figure 3d a sweep); 0 for none.
        prototypes: ``learned``, or ``fixed`` for evenly spread ones that stay (table 9).
        prototype_seed: Of fixed prototypes.
        normalize: Whether features and weight vectors count by their directions only (section 3).
        scale: Of normalized logits; 1, as in the public code, leaves a softmax of cosines.
    """

    name = "psc"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, dim: Dimension = None, uniformity: ltbench.NonNegative = 0.0,
                 prototypes: Literal["learned", "fixed"] = "learned", prototype_seed: int = 0, normalize: bool = False,
                 scale: ltbench.Positive = 1.0) -> None:
        super().__init__(facts)
        if uniformity > 0 and prototypes == "fixed":
            raise ValueError(f"uniformity must be 0 with fixed prototypes, got {uniformity}")
        if scale != 1 and not normalize:
            raise ValueError(f"scale must be 1 without normalize, got {scale}")
        self.dim = dim
        self.normalize = normalize
        self.leaves = CosineSoftmax.__name__ if normalize else "linear"
        self.scale = scale
        self.uniformity = uniformity
        self.fixed = prototypes == "fixed"
        self.prototype_seed = prototype_seed

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of section 7, which is that of the paper's own method."""
        return setting.of(task, {"normalize": True})

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return the linear classifier; a weight vector is a prototype."""
        classifier = CosineSoftmax(feature_dim, num_classes, self.scale) if self.normalize else \
            nn.Linear(feature_dim, num_classes, bias=False)
        return classifier.requires_grad_(not self.fixed)

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
