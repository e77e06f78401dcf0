"""What methods share that go on with the linear classifier of the stage before."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Literal

from torch import nn

from ltbench.errors import UserError
from ltbench.method.context import Context
from ltbench.method.contract import Method
from ltbench.method.factories import HeadFactory
from ltbench.method.values import Facts


class ReusedClassifier(Method):
    """Take the earlier stage's linear classifier, and the projection that it reads features through, if there is one.

    Args:
        inputs: ``features`` trains on cached embeddings of plain images; ``images`` on embeddings of augmented ones.
    """

    stages = frozenset({2})
    needs = frozenset({"linear"})

    def __init__(self, facts: Facts, *, inputs: Literal["features", "images"] = "features") -> None:
        super().__init__(facts)
        # Features are the default of a stage, not a demand: a method that needs images may join.
        self.inputs = "images" if inputs == "images" else None

    @abstractmethod
    def reuse(self, linear: nn.Linear) -> nn.Module:
        """Return this method's classifier, made of a frozen copy of the earlier one: features (B, d) -> logits (B, C)."""

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return a classifier of the right shapes for embeddings; :meth:`setup` puts the earlier stage's in its place."""
        return self.reuse(nn.Linear(feature_dim, num_classes).requires_grad_(False))

    def build_head(self, make: HeadFactory) -> nn.Module:
        """Return the head; owning it says that no other method may start a new one."""
        return make.head(make.classifier())

    def setup(self, ctx: Context) -> None:
        """Take over the earlier head.

        Raises:
            UserError: If its classifier is not linear.
        """
        before = getattr(ctx.previous, "head", None)
        linear = getattr(before, "classifier", None)
        if before is None or type(linear) is not nn.Linear:
            found = type(linear if linear is not None else before).__name__
            raise UserError(f"the classifier before {self.name!r} must be linear, got {found}")
        head = ctx.engine.head
        head.projection = copy.deepcopy(getattr(before, "projection", nn.Identity())).requires_grad_(False)
        head.classifier = self.reuse(copy.deepcopy(linear).requires_grad_(False))

    def start_epoch(self, ctx: Context) -> None:
        """Keep the projection as it was trained: the loop puts every part of a head into training mode."""
        projection = ctx.engine.head.projection
        if isinstance(projection, nn.Module):
            projection.eval()
