"""Classifier retraining, cRT (Kang et al., 2020, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import nn

import ltbench


class ClassifierRetraining(ltbench.Method):
    """Train a new classifier on class-balanced samples, over the frozen backbone.

    Args:
        inputs: ``features`` trains on cached embeddings of plain images; ``images`` on embeddings of augmented ones.
        batch_norm_drift: Whether the backbone's batch-norm statistics follow the class-balanced images, as in the public code;
            needs images, and takes them.
    """

    name = "crt"
    stages = frozenset({2})
    leaves = "made"

    def __init__(self, facts: ltbench.Facts, *, inputs: Literal["features", "images"] = "features",
                 batch_norm_drift: bool = False) -> None:
        super().__init__(facts)
        # Features are the default of a stage, not a demand: a method that needs images may join.
        self.inputs = "images" if inputs == "images" or batch_norm_drift else None
        self.backbone = "drifting" if batch_norm_drift else None

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return a new head. It is what the default gives; owning it says that no other method may keep the old one."""
        return make.head(make.classifier())

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the class-balanced stream."""
        return {"main": ltbench.ClassBalanced()}
