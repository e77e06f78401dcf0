from __future__ import annotations

import math

import pytest

from ltbench.results.interval import Estimate, estimate, t_quantile, within


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
    assert estimate([41.5, 41.5, 41.5]) == Estimate(41.5, (41.5, 41.5), 3)


def test_two_runs_have_no_interval() -> None:
    # Student's would be 66.7 ± 423.5 for 33.3 and 100.
    assert estimate([100 / 3, 100.0], (0.0, 100.0)) == Estimate(pytest.approx(200 / 3), None, 2)


def test_no_interval_leaves_what_a_figure_can_be() -> None:
    # Mean 99, deviation 1: 4.302653 / sqrt(3) = 2.484.
    result = estimate([98.0, 99.0, 100.0], (0.0, 100.0))
    assert result.interval == (pytest.approx(99 - 2.484, abs=1e-3), 100.0)
    assert result.half_width == pytest.approx(2.484, abs=1e-3)


@pytest.mark.parametrize(("metric", "ends"), [
    ("accuracy.few", (0, 100)), ("label_shift.built.forward50.accuracy", (0, 100)), ("worst_tenth", (0, 100)), ("ece", (0, 1)),
    ("test_loss", (0, math.inf)), ("extra.angle", (-math.inf, math.inf)),
])
def test_what_a_figure_can_be(metric: str, ends: tuple[float, float]) -> None:
    assert within(metric) == ends


@pytest.mark.parametrize(("values", "runs"), [([], 0), ([None, None], 0), ([1.0, None], 1)])
def test_what_a_run_lacks_has_no_mean(values: list[float | None], runs: int) -> None:
    assert estimate(values) == Estimate(None, None, runs)
