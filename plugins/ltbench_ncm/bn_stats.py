"""Batch-norm statistics estimated anew once the weights are fixed (Learned NCM paper, section A.4)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import ltbench
from ltbench_ncm.setting import setting


class BatchNormStatistics(ltbench.Method):
    """Estimate the backbone's batch-norm statistics again, on its final weights; everything else stays as it was.

    While a backbone trains, its running statistics follow weights that move, on samples of which few are of small classes.
    A later stage on top of this one sees features under the new statistics.

    Args:
        sampler: What the statistics are estimated on: ``class_balanced`` draws, as later stages train on, or
            ``instance_balanced`` ones.
    """

    name = "bn_stats"
    stages = frozenset({2})
    leaves = "kept"
    inputs = "images"
    backbone = "drifting"

    def __init__(self, facts: ltbench.Facts, *,
                 sampler: Literal["class_balanced", "instance_balanced"] = "class_balanced") -> None:
        super().__init__(facts)
        self.sampler = sampler

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of the later stages in section 5.2."""
        return setting(task)

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the stream that the statistics are taken from."""
        return {"main": ltbench.ClassBalanced() if self.sampler == "class_balanced" else ltbench.InstanceBalanced()}

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return a head of the usual kind; :meth:`setup` puts the earlier one in its place."""
        return make.head(make.classifier())

    def setup(self, ctx: ltbench.Context) -> None:
        """Keep the earlier head."""
        if ctx.previous is None:
            raise ltbench.UserError(f"{self.name!r} must stand on a stage with a trained backbone")
        ctx.engine.head = copy.deepcopy(ctx.previous.head).requires_grad_(True)

    def parameter_groups(self, ctx: ltbench.Context) -> list[ltbench.ParameterGroup]:
        """Return the head at rate 0: a stage takes steps, and these change nothing."""
        return [ltbench.ParameterGroup(ctx.engine.head.parameters(), lr=0.0, weight_decay=0.0, momentum=0.0)]

    def fit(self, ctx: ltbench.Context) -> None:
        """Forget the statistics of the training."""
        for layer in _layers(ctx):
            layer.reset_running_stats()

    def start_epoch(self, ctx: ltbench.Context) -> None:
        """Average over all batches equally, instead of forgetting old ones; the head itself is not in training."""
        ctx.engine.head.eval()
        for layer in _layers(ctx):
            layer.momentum = None


def _layers(ctx: ltbench.Context) -> list[_BatchNorm]:
    return [module for module in ctx.engine.backbone.modules() if isinstance(module, _BatchNorm)]
