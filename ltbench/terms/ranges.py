"""Which values a hyperparameter may have: stated once, in its annotation, and checked before a constructor runs."""

from __future__ import annotations

import functools
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, Union


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Admit the finite numbers between two bounds; a bound that is left out does not bind.

    It stands in the annotation of a hyperparameter, ``momentum: Annotated[float, ltbench.Interval(ge=0, lt=1)] = 0.9``. Whatever
    lies outside is refused by name before the constructor runs, and ``ltbench methods NAME`` shows the bounds.

    Args:
        ge: The value is at least this.
        gt: The value is above this.
        le: The value is at most this.
        lt: The value is below this.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def __post_init__(self) -> None:
        if (self.ge is not None and self.gt is not None) or (self.le is not None and self.lt is not None):
            raise ValueError(f"an interval must have one bound on a side, got {self!r}")

    def __contains__(self, value: object) -> bool:
        return (isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
                and (self.ge is None or value >= self.ge) and (self.gt is None or value > self.gt)
                and (self.le is None or value <= self.le) and (self.lt is None or value < self.lt))

    def __str__(self) -> str:
        low = self.ge if self.gt is None else self.gt
        high = self.le if self.lt is None else self.lt
        if low is not None and high is not None:
            return f"in {'[' if self.gt is None else '('}{low:g}, {high:g}{']' if self.lt is None else ')'}"
        if low is not None:
            return f">{'=' if self.gt is None else ''} {low:g}"
        return "a finite number" if high is None else f"<{'=' if self.lt is None else ''} {high:g}"


Positive: TypeAlias = Annotated[float, Interval(gt=0)]
NonNegative: TypeAlias = Annotated[float, Interval(ge=0)]
Fraction: TypeAlias = Annotated[float, Interval(ge=0, le=1)]


@functools.lru_cache(1024)
def hints(constructor: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the annotation of each argument of a constructor, with the intervals in it."""
    return types.MappingProxyType(typing.get_type_hints(constructor, include_extras=True))


def options(annotation: Any) -> tuple[Any, ...]:
    """Return the annotations that a union is made of; of anything else, itself."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def bare(annotation: Any) -> Any:
    """Return the type that an annotation is of, without what is stated beside it."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation


def stated(annotation: Any, kind: type[Any] | types.UnionType) -> Iterator[Any]:
    """Yield what an annotation states beside its types, as far as it is of a kind.

    Args:
        annotation: Of a hyperparameter.
        kind: For example :class:`Interval`.
    """
    for option in options(annotation):
        if typing.get_origin(option) is Annotated:
            yield from (extra for extra in option.__metadata__ if isinstance(extra, kind))


def describe(annotation: Any) -> str | None:
    """Return the intervals of an annotation in words; None where any value of its type will do."""
    return " and ".join(map(str, stated(annotation, Interval))) or None


def check(annotations: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Refuse values that lie outside their intervals, or are none of the words that there are.

    Args:
        annotations: Of the hyperparameters.
        values: Of some of them.

    Raises:
        ValueError: Naming the hyperparameter.
    """
    for name, value in values.items():
        admitted = options(annotations.get(name, Any))
        if not any(_admits(option, value) for option in admitted):
            constraint = " or ".join(map(_constraint, admitted))
            endless = isinstance(value, float) and math.isinf(value) and "finite" not in constraint
            raise ValueError(f"{name} must be {constraint}{' and finite' if endless else ''}, got {value}")


def checked(constructor: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor that checks its keyword arguments before it runs.

    Args:
        constructor: ``__init__`` of a class.
    """
    @functools.wraps(constructor)
    def construct(self: Any, *facts: Any, **values: Any) -> None:
        if values:
            check(hints(constructor), values)
        constructor(self, *facts, **values)

    return construct


def _admits(option: Any, value: object) -> bool:
    if option is types.NoneType:
        return value is None
    if typing.get_origin(option) is Literal:
        return value in typing.get_args(option)
    return all(value in interval for interval in stated(option, Interval))


def _constraint(option: Any) -> str:
    if option is types.NoneType:
        return "none"
    if typing.get_origin(option) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(option)))
    return describe(option) or "of another type"
