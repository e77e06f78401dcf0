"""Ranges of hyperparameters: declared in annotations, shown, searched and checked from there."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pytest

import ltbench
from ltbench.errors import UserError
from ltbench.method import hyperparameters
from ltbench.terms import ranges
from tests.support.stages import facts


class Bounded(ltbench.Method):
    """Have hyperparameters of many kinds."""

    name = "bounded"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, tau: Annotated[ltbench.NonNegative, ltbench.LogUniform(0.1, 1)] = 1,
                 rank: Annotated[int, ltbench.Interval(ge=1)] | None = None, form: Literal["a", "b"] = "a",
                 gamma: float = 0.0) -> None:
        super().__init__(facts)
        self.tau = tau


class Inheriting(Bounded):
    """Change nothing."""

    name = "inheriting"


@pytest.mark.parametrize(("interval", "text", "inside", "outside"), [
    (ltbench.Interval(ge=0), ">= 0", (0, 0.5, 3), (-1e-9, math.inf, math.nan, True, "1", None)),
    (ltbench.Interval(gt=0), "> 0", (1e-9,), (0, 0.0)),
    (ltbench.Interval(le=2.5), "<= 2.5", (2.5, -7), (3,)),
    (ltbench.Interval(lt=2), "< 2", (1.9,), (2,)),
    (ltbench.Interval(ge=0, lt=1), "in [0, 1)", (0, 0.99), (1, -0.1)),
    (ltbench.Interval(gt=0, le=1), "in (0, 1]", (1,), (0,)),
    (ltbench.Interval(), "a finite number", (-1e9,), (math.inf, -math.inf, math.nan)),
])
def test_intervals(interval: ltbench.Interval, text: str, inside: tuple[Any, ...], outside: tuple[Any, ...]) -> None:
    assert str(interval) == text
    assert all(value in interval for value in inside) and not any(value in interval for value in outside)


def test_an_interval_has_one_bound_on_a_side() -> None:
    with pytest.raises(ValueError, match="an interval must have one bound on a side"):
        ltbench.Interval(ge=0, gt=0)


@pytest.mark.parametrize("kind", [Bounded, Inheriting])
@pytest.mark.parametrize(("values", "message"), [
    ({"tau": -1.0}, r"^tau must be >= 0, got -1.0$"), ({"tau": math.inf}, r"^tau must be >= 0 and finite, got inf$"),
    ({"rank": 0}, r"^rank must be >= 1 or none, got 0$"), ({"form": "c"}, r"^form must be one of a, b, got c$")])
def test_a_constructor_refuses_by_name(kind: type[Bounded], values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(facts([2, 1]), **values)
    with pytest.raises(UserError, match=f"method '{kind.name}': {message.strip('^')}"):
        hyperparameters.build(kind, facts([2, 1]), values)
    assert kind(facts([2, 1]), tau=0.0, rank=None, form="b", gamma=math.inf).tau == 0


def test_values_are_read_and_shown_as_of_the_type_without_a_range() -> None:
    assert hyperparameters.resolve(Bounded, {"tau": "0.5", "rank": "none"}) == {
        "tau": 0.5, "rank": None, "form": "a", "gamma": 0.0}
    assert type(hyperparameters.resolve(Bounded, {})["tau"]) is float  # 1 and 1.0 are one value
    known = {name: annotation for name, (annotation, _) in hyperparameters.declared(Bounded).items()}
    assert [hyperparameters.describe(annotation) for annotation in known.values()] == [
        "a finite number", "an integer or none", "one of a, b", "a finite number"]
    assert [ranges.describe(annotation) for annotation in known.values()] == [">= 0", ">= 1", None, None]
    with pytest.raises(UserError, match="bounded.tau must be a finite number, got 'x'"):
        hyperparameters.resolve(Bounded, {"tau": "x"})


def test_where_tuning_looks_stands_beside_the_range() -> None:
    assert hyperparameters.search_space(Inheriting) == {"tau": ltbench.LogUniform(0.1, 1)}
