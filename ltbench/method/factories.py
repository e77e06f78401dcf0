"""What a method builds its backbone and head from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ltbench.backbones.request import feature_dim
from ltbench.errors import UserError
from ltbench.method.values import Output


class Head(nn.Module):
    """Read an embedding: project it (or not), then classify.

    Args:
        classifier: Features (B, d) -> logits (B, C).
        projection: Embedding (B, D) -> features (B, d); None for none.
    """

    def __init__(self, classifier: nn.Module, projection: nn.Module | None = None) -> None:
        super().__init__()
        self.projection = projection if projection is not None else nn.Identity()
        self.classifier = classifier

    def forward(self, embedding: Tensor) -> Output:
        """Return features and logits of an embedding, shape (B, D)."""
        features = self.projection(embedding)
        return Output(embedding, features, self.classifier(features))


class HeadFactory:
    """Offer the parts of a head to the method that owns it."""

    def __init__(self, make_classifier: Callable[[int, int], nn.Module], feature_dim: int, num_classes: int) -> None:
        self._make_classifier = make_classifier
        self.feature_dim = feature_dim
        self.num_classes = num_classes

    def classifier(self, feature_dim: int | None = None) -> nn.Module:
        """Return a new classifier as the stack's owner makes it.

        Args:
            feature_dim: d, where features are projected; None for D.
        """
        return self._make_classifier(feature_dim or self.feature_dim, self.num_classes)

    def head(self, classifier: nn.Module, projection: nn.Module | None = None) -> Head:
        """Return the usual head around a classifier and an optional projection."""
        return Head(classifier, projection)


class _Pooled(nn.Module):
    """Follow a stage by the backbone's pooling."""

    def __init__(self, stage: nn.Module, pool: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.stage = stage
        self._pool = pool

    def forward(self, maps: Tensor) -> Tensor:
        """Return the embedding of trunk output, shape (B, d)."""
        return self._pool(self.stage(maps))


class BackboneFactory:
    """Offer the task's backbone, whole or in parts, to the method that owns it.

    Args:
        build: Returns a new backbone each time.
    """

    def __init__(self, name: str, build: Callable[[], nn.Module]) -> None:
        self._name = name
        self._build = build
        self._full: nn.Module | None = None

    @property
    def feature_dim(self) -> int:
        """D of the whole backbone."""
        return feature_dim(self.full())

    def full(self) -> nn.Module:
        """Return the task's backbone, always the same object."""
        if self._full is None:
            self._full = self._build()
        return self._full

    def trunk(self, stages: int = 1) -> nn.Module:
        """Return all of the backbone but its last stage, or its last stages.

        Args:
            stages: How many are left off; for more than one the backbone must offer ``trunk_of(stages)``.
        """
        full: Any = self.full()
        if stages != 1:
            self._offers_several(full, stages)
            several: nn.Module = full.trunk_of(stages)
            return several
        trunk = getattr(full, "trunk", None)
        if not isinstance(trunk, nn.Module):
            raise UserError(f"backbone {self._name!r} cannot be split: it has no trunk")
        return trunk

    def _offers_several(self, full: nn.Module, stages: int) -> None:
        if not (hasattr(full, "trunk_of") and hasattr(full, "make_last_stage") and hasattr(full, "pool")):
            raise UserError(f"backbone {self._name!r} cannot be split before its last {stages} stages: it offers no "
                            "trunk_of(stages), make_last_stage(width, stages) and pool(maps)")

    def last_stage(self, width: float = 1.0, stages: int = 1) -> nn.Module:
        """Return a new last stage, trunk output -> embedding, with weights of its own.

        Args:
            width: Of its channels, as a fraction of the backbone's own.
            stages: How many last stages, all of that width, for a trunk without as many.
        """
        full: Any = self.full()
        if stages != 1:
            self._offers_several(full, stages)
            return _Pooled(full.make_last_stage(width, stages), full.pool)
        if not (hasattr(full, "make_last_stage") and hasattr(full, "pool")):
            raise UserError(f"backbone {self._name!r} cannot be split: it offers no make_last_stage(width) and pool(maps)")
        return _Pooled(full.make_last_stage(width), full.pool)
