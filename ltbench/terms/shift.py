"""How label shifts are named: a direction and a ratio, as in ``forward50``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_NAME = re.compile(r"(forward|backward)([1-9][0-9]{0,8})")


class Shift(NamedTuple):
    """Name a label-shifted test set.

    Args:
        direction: ``forward`` is long-tailed as the training set is, ``backward`` the other way round.
        ratio: Test images of the largest class over those of the smallest.
    """

    direction: str
    ratio: int

    def __str__(self) -> str:
        return f"{self.direction}{self.ratio}"


def parse_shift(name: str) -> Shift:
    """Return the shift of a name."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"a label shift must be forward or backward with a whole ratio, such as 'forward50', got {name!r:.60}")
    return Shift(match[1], int(match[2]))


def shifts_of(ratios: Iterable[int]) -> list[Shift]:
    """Return both directions of every ratio, from the furthest forward to the furthest backward, as the field's tables do."""
    rising = sorted(ratios)
    return [Shift("forward", ratio) for ratio in reversed(rising)] + [Shift("backward", ratio) for ratio in rising]
