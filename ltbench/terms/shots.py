"""Many, medium and few: the classes of the field by their training images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # whoever makes tables needs no torch
    from torch import Tensor

MANY_ABOVE = 100  # the strict rule: a class of exactly 100 images is medium
FEW_BELOW = 20


class Splits(NamedTuple):
    """Say where many, medium and few part.

    Attributes:
        many_above: A class of more training images is many.
        few_below: One of fewer is few; what lies between, both bounds included, is medium.
    """

    many_above: int = MANY_ABOVE
    few_below: int = FEW_BELOW

    def __str__(self) -> str:
        return f"many > {self.many_above}, few < {self.few_below}"

    def tally(self, counts: Iterable[int]) -> dict[str, int]:
        """Count classes by their training images, in all and by split."""
        each = list(counts)
        many, few = sum(n > self.many_above for n in each), sum(n < self.few_below for n in each)
        return {"all": len(each), "many": many, "medium": len(each) - many - few, "few": few}


USUAL = Splits()


def splits_of(value: Sequence[Any] | str) -> Splits:
    """Read two bounds, as a list or as text with a comma.

    Raises:
        ValueError: If they are no two whole numbers of at least 1, or the first is below the second.
    """
    try:
        bounds = [int(part) for part in value.split(",")] if isinstance(value, str) else list(value)
    except ValueError:
        bounds = []
    if [type(bound) for bound in bounds] != [int, int] or not 2**31 > bounds[0] >= bounds[1] >= 1:
        shown = value if isinstance(value, str) else list(value)
        raise ValueError("splits must be two whole numbers, many above the first and few below the second, which is at most the "
                         f"first: 100,20 by default, got {shown!r}")
    return Splits(*bounds)


def shot_splits(class_counts: Tensor) -> dict[str, Tensor]:
    """Return which classes are ``many`` (more than 100 training images), ``medium`` (20 to 100) and ``few``, each bool (C,).

    Args:
        class_counts: Training images of each class, shape (C,); classes without any are in no split.
    """
    many, few = class_counts > MANY_ABOVE, class_counts < FEW_BELOW
    return {"many": many, "medium": ~(many | few), "few": few & (class_counts > 0)}
