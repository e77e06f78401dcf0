"""A task: everything about a run that is not the method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ltbench.errors import UserError

TRACKS = ("common", "paper")


@dataclass(frozen=True)
class Task:
    """Name a dataset, how it is made long-tailed, and the seeds.

    Args:
        imbalance_ratio: Largest over smallest class, at least 1; None where the data is used as it is.
        split_seed: Of the long-tailed subset.
        track: ``common`` (equal terms) or ``paper`` (each method's own).
    """

    dataset: str
    imbalance_ratio: float | None
    imbalance: Literal["exp", "step"] = "exp"
    split_seed: int = 0
    seed: int = 0
    track: Literal["common", "paper"] = "common"
    protocol: str = "quick"

    def __str__(self) -> str:
        ratio = "" if self.imbalance_ratio is None else f"@{self.imbalance_ratio:g}"
        return f"{self.dataset}{ratio}{'-step' if self.imbalance == 'step' else ''}"


def parse_ratio(text: str | float, name: str) -> float:
    """Read an imbalance ratio."""
    try:
        ratio = float(text)
    except (ValueError, OverflowError):
        raise UserError(f"the imbalance ratio of {name!r} must be a number, got {text!r}") from None
    if not (math.isfinite(ratio) and ratio >= 1):
        hint = f" (factor {ratio:g} is ratio {1 / ratio:g})" if 0 < ratio < 1 else ""
        raise UserError(f"the imbalance ratio of {name!r} must be >= 1, got {str(text).strip()}{hint}")
    return ratio
