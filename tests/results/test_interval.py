from __future__ import annotations

import math

import pytest

from ltbench.results.interval import Estimate, estimate, t_quantile


@pytest.mark.parametrize(("degrees", "quantile"), [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (30, 2.042)])
def test_quantiles_of_the_printed_tables(degrees: int, quantile: float) -> None:
    assert t_quantile(degrees) == pytest.approx(quantile, abs=5e-4)


def test_interval_by_hand() -> None:
    # Mean 2, deviation 1, three runs: 4.302653 / sqrt(3).
    result = estimate([1.0, 2.0, 3.0])
    assert (result.mean, result.runs) == (2.0, 3)
    assert result.half_width == pytest.approx(4.302653 / math.sqrt(3), abs=1e-6)


def test_one_run_has_no_spread() -> None:
    assert estimate([41.5]) == Estimate(41.5, None, 1)


def test_equal_runs_have_a_spread_of_zero() -> None:
    assert estimate([41.5, 41.5]) == Estimate(41.5, 0.0, 2)


@pytest.mark.parametrize(("values", "runs"), [([], 0), ([None, None], 0), ([1.0, None], 1)])
def test_what_a_run_lacks_has_no_mean(values: list[float | None], runs: int) -> None:
    assert estimate(values) == Estimate(None, None, runs)
