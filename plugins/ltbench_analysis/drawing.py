"""What a figure is before anything is drawn: panels of numbers, which are also its JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ltbench_analysis.runs import Run

Marks = Literal["line", "points", "stars", "bars", "level"]
_DIGITS = 10


@dataclass(frozen=True)
class Series:
    """Hold one line, cloud or set of bars.

    Args:
        x: Places, or names of places.
        y: Values; None where there is none.
        spread: Half of a 95 % interval over seeds; None for too few seeds.
        marks: ``level`` is one horizontal line at ``y[0]``.
    """

    label: str
    x: list[float] | list[str]
    y: list[float] | list[float | None]
    spread: list[float] | None = None
    marks: Marks = "line"


@dataclass(frozen=True)
class Panel:
    """Hold one pair of axes.

    Args:
        grid: Values of a heatmap instead, rows from the top, shape (rows, columns); empty for none.
        scale: ``linear``, or ``log`` for the x axis.
        bare: Whether the axes carry no numbers, because they mean nothing.
    """

    title: str
    xlabel: str
    ylabel: str
    series: list[Series] = field(default_factory=list)
    grid: list[list[float]] = field(default_factory=list)
    scale: Literal["linear", "log"] = "linear"
    bare: bool = False


@dataclass(frozen=True)
class Drawing:
    """Hold a whole figure.

    Args:
        panels: From left to right.
        summary: Figures by name that say in numbers what the drawing shows.
        used: The runs that it is made from; None for all that were given.
    """

    panels: list[Panel]
    summary: dict[str, Any] = field(default_factory=dict)
    used: Sequence[Run] | None = None


def as_json(value: Any) -> Any:
    """Return plain JSON values: numbers to ten digits, null for what is not finite.

    Further digits differ between machines and say nothing.
    """
    if isinstance(value, dict):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value
