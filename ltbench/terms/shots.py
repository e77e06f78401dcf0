"""Many, medium and few: the classes of the field by their training images."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # whoever makes tables needs no torch
    from torch import Tensor

MANY_ABOVE = 100  # the strict rule: a class of exactly 100 images is medium
FEW_BELOW = 20


def shot_splits(class_counts: Tensor) -> dict[str, Tensor]:
    """Return which classes are ``many`` (more than 100 training images), ``medium`` (20 to 100) and ``few``, each bool (C,).

    Args:
        class_counts: Training images of each class, shape (C,); classes without any are in no split.
    """
    many, few = class_counts > MANY_ABOVE, class_counts < FEW_BELOW
    return {"many": many, "medium": ~(many | few), "few": few & (class_counts > 0)}
