"""Where a hyperparameter may be looked for: what a method declares beside its constructor, for ``ltbench tune``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

MOST_TUNED = 5  # hyperparameters of a row that is ranked


@dataclass(frozen=True)
class Uniform:
    """Look between two numbers, each value as likely as any other.

    Args:
        low: The smallest.
        high: The largest.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"low and high must be finite and low below high, got {self.low} and {self.high}")

    def __contains__(self, value: object) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that a method must accept for it to accept them all: both, and a fraction between them."""
        return (self.low, self.high, self.low + (self.high - self.low) / math.pi)

    def as_dict(self) -> dict[str, Any]:
        """Return the range as a record holds it."""
        return {"kind": "uniform", "low": self.low, "high": self.high}


@dataclass(frozen=True)
class LogUniform(Uniform):
    """Look between two numbers above 0, each order of magnitude as likely as any other."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low <= 0:
            raise ValueError(f"low must be > 0, got {self.low}")

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, by logarithm"

    def as_dict(self) -> dict[str, Any]:
        """Return the range as a record holds it."""
        return {**super().as_dict(), "kind": "log_uniform"}


@dataclass(frozen=True, init=False)
class Choice:
    """Look among some values.

    Args:
        values: At least two.
    """

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        object.__setattr__(self, "values", values)
        if len(values) < 2:
            raise ValueError(f"values must be at least two, got {len(values)}")
        for value in values:
            if not (value is None or isinstance(value, (bool, int, float, str))):
                raise ValueError(f"values must be numbers, words, true, false or None, got {value!r}")

    def __contains__(self, value: object) -> bool:
        return any(type(value) is type(known) and value == known for known in self.values)  # true is 1 in Python

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that a method must accept for it to accept them all."""
        return self.values

    def as_dict(self) -> dict[str, Any]:
        """Return the values as a record holds them."""
        return {"kind": "choice", "values": list(self.values)}


Range: TypeAlias = Uniform | Choice

_KINDS = {"uniform": Uniform, "log_uniform": LogUniform}


def range_from(stated: Mapping[str, Any]) -> Range:
    """Return what :meth:`Uniform.as_dict` or :meth:`Choice.as_dict` wrote.

    Args:
        stated: As a record holds it.

    Raises:
        ValueError: If it is of no kind, or no range.
    """
    try:
        if stated["kind"] == "choice":
            return Choice(*stated["values"])
        return _KINDS[stated["kind"]](stated["low"], stated["high"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"a range must be of kind uniform, log_uniform or choice with its values, got {stated!r:.60}") from error
