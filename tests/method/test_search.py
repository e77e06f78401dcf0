from __future__ import annotations

import math

import pytest

import ltbench
from ltbench.method.search import Range, range_from


@pytest.mark.parametrize(("where", "inside", "outside"), [
    (ltbench.Uniform(0.5, 2.0), (0.5, 1, 2.0), (0.49, 2.01, True, "1", None, math.nan)),
    (ltbench.LogUniform(1e-3, 1.0), (1e-3, 0.5), (0.0, -1.0)),
    (ltbench.Choice(1, 2.5, None, "a", True), (1, 2.5, None, "a", True), (1.0, "b", False)),
])
def test_a_range_knows_its_values_and_reads_back(where: Range, inside: tuple[object, ...], outside: tuple[object, ...]) -> None:
    again = range_from(where.as_dict())
    assert again == where and type(again) is type(where)
    assert all(value in again for value in inside)
    assert not any(value in again for value in outside)
    assert all(end in again for end in again.ends)
    assert type(where) is ltbench.Choice or any(not float(end).is_integer() for end in again.ends)  # no value of an int


@pytest.mark.parametrize(("make", "message"), [
    (lambda: ltbench.Uniform(2.0, 2.0), "low and high must be finite and low below high, got 2.0 and 2.0"),
    (lambda: ltbench.Uniform(0.0, math.inf), "low and high must be finite"),
    (lambda: ltbench.LogUniform(0.0, 1.0), "low must be > 0, got 0.0"),
    (lambda: ltbench.Choice(1), "values must be at least two, got 1"),
    (lambda: ltbench.Choice((1, 2), (3, 4)), r"values must be numbers, words, true, false or None, got \(1, 2\)"),
    (lambda: range_from({"kind": "uniform", "low": 1}), "a range must be of kind uniform, log_uniform or choice"),
    (lambda: range_from({"kind": "grid"}), "a range must be of kind uniform, log_uniform or choice"),
    (lambda: range_from({"kind": "uniform", "low": "a", "high": 2}), "a range must be of kind"),
])
def test_what_is_no_range_is_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
