"""What a method builds its backbone and head from."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ltbench.backbones.request import feature_dim
from ltbench.backbones.transformer import find_transformer
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

    def __init__(self, stage: nn.Module, pool: Callable[[Tensor], Tensor], feature_dim: int | None = None) -> None:
        super().__init__()
        self.stage = stage
        self._pool = pool
        self.feature_dim = feature_dim

    def forward(self, maps: Tensor) -> Tensor:
        """Return the embedding of trunk output, shape (B, d)."""
        return self._pool(self.stage(maps))


class BackboneFactory:
    """Offer the task's backbone, whole, several times or in parts, to the method that owns it.

    In a first stage everything has fresh weights, or with ``--init`` those that training starts from. In a later stage that tunes
    the backbone everything has those of the stage before. It may be frozen in parts with ``requires_grad_(False)``; with
    ``--init`` what is frozen stays in evaluation mode.

    Args:
        build: Returns a new backbone each time.
        image_shape: Channels, height and width of the images.
        inherited: Whether what is built has given weights: those of a stage before, or those that training starts from.
    """

    def __init__(self, name: str, build: Callable[[], nn.Module], image_shape: tuple[int, int, int] = (3, 32, 32), *,
                 inherited: bool = False) -> None:
        self._name = name
        self._build = build
        self._image_shape = image_shape
        self._inherited = inherited
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

    def another(self) -> nn.Module:
        """Return one more whole backbone, which shares nothing: with initial weights of its own, or the given ones."""
        self.full()  # so that the first one is the same with and without others
        return self._build()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images that it will see."""
        return self._image_shape

    def transformer(self) -> nn.Module:
        """Return the part of the backbone whose ``blocks`` each have an ``attn`` and an ``mlp``, as timm's vision transformers.

        It is part of :meth:`full`: what is changed in it, such as a block with an adapter beside it, is changed there.
        """
        found = find_transformer(self.full())
        if found is None:
            raise UserError(f"backbone {self._name!r} must be a vision transformer (such as timm:vit_tiny_patch16_224): it "
                            "has no blocks of attention in one row")
        return found

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

    def parts(self, stages: int = 1) -> list[nn.Module]:
        """Return the trunk and each of the last stages: the backbone is one after the other, :meth:`pooled`.

        They share their parameters with :meth:`full` and give maps (B, channels, h, w): what lies between may be read, changed
        or joined, such as the last maps by attention, or earlier ones by an expert.

        Args:
            stages: How many last stages stand apart.
        """
        trunk = self.trunk(stages)
        full: Any = self.full()
        if not (isinstance(getattr(full, "last_stage", None), nn.Module) and hasattr(full, "pool")):
            raise UserError(f"backbone {self._name!r} cannot be split: it offers no last_stage and pool(maps)")
        if stages == 1:
            return [trunk, full.last_stage]
        trunks: list[Any] = [full.trunk_of(left_off) for left_off in range(stages, 0, -1)]  # each begins with the one before
        return [trunks[0], *(longer[len(shorter):] for shorter, longer in itertools.pairwise(trunks)), full.last_stage]

    @torch.no_grad()
    def map_shapes(self, stages: int = 1) -> list[tuple[int, int, int]]:
        """Return the channels, height and width of the maps that each of :meth:`parts` gives."""
        parts, full = self.parts(stages), self.full()
        was_training = full.training
        full.eval()  # batch norm would otherwise count the blank image
        maps = torch.zeros(1, *self._image_shape, device=next(full.parameters()).device)
        shapes: list[tuple[int, int, int]] = []
        for part in parts:
            maps = part(maps)
            _, channels, height, width = maps.shape
            shapes.append((channels, height, width))
        full.train(was_training)
        return shapes

    def pooled(self, module: nn.Module, feature_dim: int | None = None) -> nn.Module:
        """Return a module followed by the backbone's pooling: a backbone, or a part of one that gives an embedding (B, d).

        Args:
            module: To maps (B, d, h, w).
            feature_dim: d; None for D.
        """
        full: Any = self.full()
        if not hasattr(full, "pool"):
            raise UserError(f"backbone {self._name!r} cannot be split: it offers no pool(maps)")
        return _Pooled(module, full.pool, feature_dim or self.feature_dim)

    def last_stage(self, width: float = 1.0, stages: int = 1, *, pooled: bool = True) -> nn.Module:
        """Return a last stage that shares nothing, trunk output -> embedding, for an expert or a branch.

        Args:
            width: Of its channels, as a fraction of the backbone's own; 1 where it has given weights.
            stages: How many last stages, all of that width, for a trunk without as many.
            pooled: Whether it gives an embedding (B, d), or the maps (B, d, h, w) that are pooled to one.
        """
        full: Any = self.full()
        stage: nn.Module
        if self._inherited:
            if width != 1.0:
                raise UserError(f"width of a last stage with given weights must be 1, got {width}")
            stage = copy.deepcopy(nn.Sequential(*self.parts(stages)[1:]))
        elif stages != 1:
            self._offers_several(full, stages)
            stage = full.make_last_stage(width, stages)
        elif hasattr(full, "make_last_stage") and hasattr(full, "pool"):
            stage = full.make_last_stage(width)
        else:
            raise UserError(f"backbone {self._name!r} cannot be split: it offers no make_last_stage(width) and pool(maps)")
        return _Pooled(stage, full.pool) if pooled else stage

    def _offers_several(self, full: nn.Module, stages: int) -> None:
        if not (hasattr(full, "trunk_of") and hasattr(full, "make_last_stage") and hasattr(full, "pool")):
            raise UserError(f"backbone {self._name!r} cannot be split before its last {stages} stages: it offers no "
                            "trunk_of(stages), make_last_stage(width, stages) and pool(maps)")
