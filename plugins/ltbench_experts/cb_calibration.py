"""The joint calibration of class-balanced experts (Sharma et al., 2020)."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

import ltbench
from ltbench_experts.cb_experts import RejectHead, joined
from ltbench_experts.shots import own_classes


class CalibratedExperts(nn.Module):
    """Scale and shift every logit of trained experts, and join them.

    Args:
        before: Embedding (B, E d) -> what the experts say; stays as it is.
    """

    def __init__(self, before: RejectHead) -> None:
        super().__init__()
        self.before = before.requires_grad_(False)
        experts, classes = before.own.shape
        self.scale, self.shift = nn.Parameter(torch.ones(classes)), nn.Parameter(torch.zeros(classes))
        self.reject_scale, self.reject_shift = nn.Parameter(torch.ones(experts)), nn.Parameter(torch.zeros(experts))

    def forward(self, embedding: Tensor) -> ltbench.Output:
        """Return log probabilities; ``extra`` is that of the head before."""
        output: ltbench.Output = self.before(embedding)
        own = self.scale * output.extra["own_logits"] + self.shift
        rejects = self.reject_scale * output.extra["rejects"] + self.reject_shift
        output.logits = joined(own, rejects, self.before.own)
        return output


class JointCalibration(ltbench.Method):
    """Learn a scale and a shift for every logit of ``cb_experts``, on classes drawn equally often, as the experts are joined."""

    name = "cb_calibration"
    stages = frozenset({2})
    below = "ce/cb_experts"
    needs = frozenset({"RejectHead"})
    leaves = "CalibratedExperts"

    own: Tensor

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.register_buffer("own", own_classes(facts.class_counts))

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return a head of the right shapes; :meth:`setup` puts the earlier stage's in its place."""
        width = make.feature_dim // len(self.own)
        return CalibratedExperts(RejectHead([make.classifier(width) for _ in self.own], width, self.own, 1.0))

    def setup(self, ctx: ltbench.Context) -> None:
        """Take over the trained experts.

        Raises:
            UserError: If the stage before has none that reject.
        """
        before = ctx.previous.head if ctx.previous is not None else None
        if not isinstance(before, RejectHead):
            raise ltbench.UserError(f"the head before {self.name!r} must be that of 'cb_experts', got {type(before).__name__}")
        ctx.engine.head.before = copy.deepcopy(before).requires_grad_(False)

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return all images, of every class equally often."""
        return {"main": ltbench.ClassBalanced()}
