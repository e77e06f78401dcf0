"""Linear probe: a new classifier over a backbone that stays as it is."""

from __future__ import annotations

from torch import nn

import ltbench
from ltbench_adaptation.blocks import frozen


class LinearProbe(ltbench.Method):
    """Train the classifier alone, on augmented images; the backbone, of any kind, keeps its weights and statistics."""

    name = "linear_probe"
    stages = frozenset({1})

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        """Return the backbone, frozen."""
        return frozen(make, self.name)

    def start_epoch(self, ctx: ltbench.Context) -> None:
        """Keep batch norm as it was trained: the loop puts every part of a first stage into training mode."""
        ctx.engine.backbone.eval()
