from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from ltbench.leaderboard.bootstrap import Resampled, resample
from ltbench.leaderboard.differences import Spread, difference, half_width, p_value, spread_of, spreads_of_all
from ltbench.leaderboard.outcomes import believe, stack
from ltbench.leaderboard.rows import run_of
from ltbench.results import records
from tests.support.simulated import simulated

BOARD = Path(__file__).resolve().parents[2] / "leaderboards" / "cifar100-lt" / "results"
RUNS = ((0, 0), (0, 1), (0, 2))


def _given() -> Resampled:
    """Two methods in three runs, differences 1, 2 and 3; resampled differences 0 and 4 in turn."""
    observed = np.array([[[10.0, 10.0, 10.0], [11.0, 12.0, 13.0]]])
    return Resampled(RUNS, ("all",), observed, np.array([[[10.0] * 4, [10.0, 14.0, 10.0, 14.0]]]))


def test_spread_by_hand() -> None:
    # Resamples 0, 4, 0, 4: variance 16/3. Runs 1, 2, 3: variance 1, of their mean 1/3.
    spread = spread_of(_given(), 0, 1)
    assert (spread.total, spread.of_seeds, spread.degrees) == (pytest.approx(16 / 3), pytest.approx(1 / 3), 2)
    assert spread.degrees_of_total() == pytest.approx(2 * 16**2)


def test_all_pairs_at_once_are_as_one_by_one() -> None:
    stored, _ = records.read_directory(BOARD)
    rows = [[item for item in stored if item.record.expression == name and item.record.protocol.name == "common"
             and item.record.protocol.epochs == 200]
            for name in ("ce", "ce/ncm", "ce/crt", "ce/pc", "ce/pc_cdt")]
    outcomes = stack([run_of(item.record) for item in rows[0]], [[believe(item) for item in row] for row in rows])
    resampled = resample(outcomes, 2_000)
    one_by_one = [spread_of(resampled, *pair) for pair in combinations(range(5), 2)]
    assert len(one_by_one) == 10 and min(spread.total for spread in one_by_one) > 1e-3
    for found, expected in zip(spreads_of_all(resampled), one_by_one, strict=True):
        assert found.total == pytest.approx(expected.total, rel=1e-4)
        assert (found.of_seeds, found.degrees) == (pytest.approx(expected.of_seeds, rel=1e-12), 2)


def test_equal_methods_do_not_vary_and_the_order_of_methods_does_not_matter() -> None:
    resamples = np.random.default_rng(0).uniform(0, 100, (1, 3, 500))
    resamples[0, 1] = resamples[0, 0]
    observed = np.array([[[10.0, 20.0, 40.0], [10.0, 20.0, 40.0], [11.0, 12.0, 13.0]]])
    same, one, other = spreads_of_all(Resampled(RUNS, ("all",), observed, resamples))
    assert (same.total, same.of_seeds) == (0.0, 0.0)
    assert (one.total, one.of_seeds) == (other.total, other.of_seeds)
    turned = spreads_of_all(Resampled(RUNS, ("all",), observed[:, ::-1], resamples[:, ::-1]))
    assert [spread.total for spread in turned] == [other.total, one.total, same.total]


def test_difference_by_hand() -> None:
    found = difference(_given(), 0, 1)
    assert (found.split, found.first, found.second, found.value) == ("all", 10.0, 12.0, 2.0)
    # Standard error 2.3094; t of 512 degrees: 1.9646 at 97.5 %, and P(|t| > .8660) = .3869.
    assert found.interval == (pytest.approx(2 - 1.9646 * 2.3094, abs=1e-3), pytest.approx(2 + 1.9646 * 2.3094, abs=1e-3))
    assert found.p == pytest.approx(0.3869, abs=1e-4)
    back = difference(_given(), 1, 0)
    assert (back.value, back.p) == (-2.0, found.p)


@pytest.mark.parametrize(("spread", "quantile"), [
    (Spread(1.0, 1.0, 2), 4.303),  # all from three seeds
    (Spread(1.0, 2.0, 2), 4.303),  # never fewer than theirs
    (Spread(1.0, 0.5, 2), 2.306),  # half of it: 8 degrees
    (Spread(1.0, 0.0, 2), 1.960),  # from images alone
])
def test_quantiles_of_the_printed_tables(spread: Spread, quantile: float) -> None:
    assert half_width(spread) == pytest.approx(quantile, abs=5e-4)
    assert p_value(quantile, spread) == pytest.approx(0.05, abs=1e-4)


def test_a_floor_raises_only_what_is_below() -> None:
    assert Spread(5.0, 1.0, 2).at_least(3.0, 30) == Spread(7.0, 3.0, 30)
    assert Spread(5.0, 4.0, 2).at_least(3.0, 30) == Spread(5.0, 4.0, 2)


def test_what_never_varies() -> None:
    assert p_value(0.0, Spread(0.0, 0.0, 2)) == 1.0 and p_value(3.0, Spread(0.0, 0.0, 2)) == 0.0
    assert half_width(Spread(0.0, 0.0, 2)) == 0.0


def test_equal_methods_differ_by_nothing() -> None:
    made = resample(simulated(np.random.default_rng(0), methods=1, runs=3), 50)
    found = difference(made, 0, 0)
    assert (found.value, found.interval, found.p) == (0.0, (0.0, 0.0), 1.0)


def test_one_run_has_no_interval() -> None:
    found = difference(resample(simulated(np.random.default_rng(0), methods=2, runs=1), 50), 0, 1, "few")
    assert found.interval is None and found.p is None and math.isfinite(found.value)


def test_variance_on_a_real_board_is_that_of_the_analysis_of_variance() -> None:
    """Seeds, images within classes and what is of both, each from its own mean square: what the bootstrap adds up."""
    stored, _ = records.read_directory(BOARD)
    one, other = ({run_of(item.record): item for item in stored if item.record.expression == name}
                  for name in ("ce/ncm", "ce/lncm"))
    outcomes = stack(RUNS, [[believe(rows[run]) for run in RUNS] for rows in (one, other)])
    apart = 100.0 * (outcomes.correct[1].astype(float) - outcomes.correct[0])  # (S, N)
    of_seeds = apart.mean(axis=1).var(ddof=1) / 3
    of_images = of_both = 0.0
    for k in range(100):
        inside = apart[:, outcomes.labels == k]  # (S, n)
        n = inside.shape[1]
        rest = inside - inside.mean(axis=0) - inside.mean(axis=1, keepdims=True) + inside.mean()
        of_images += inside.mean(axis=0).var(ddof=1) / n / 100**2
        of_both += (rest**2).sum() / (2 * (n - 1)) / (3 * n) / 100**2
    spread = spread_of(resample(outcomes, 4_000), 0, 1)
    assert spread.of_seeds == pytest.approx(of_seeds)
    assert spread.total == pytest.approx(of_seeds + of_images + of_both, rel=0.08)


# Coverage of 0, the true difference of two methods that are equally good. Binomial noise of 1,000 tables: .007 at 95 %.
@pytest.mark.parametrize(("runs", "of_seed", "of_image", "low", "high"), [
    (3, 0.0, 0.0, 0.99, 1.0),  # nothing but the toss of each image in each run: at its most conservative
    (3, 0.05, 0.1, 0.92, 0.98),
    (3, 0.15, 0.05, 0.88, 0.95),  # seeds alone matter, and there are three
    (10, 0.05, 0.1, 0.94, 0.99),
    (10, 0.15, 0.05, 0.93, 0.98),
])
@pytest.mark.slow
def test_coverage(runs: int, of_seed: float, of_image: float, low: float, high: float) -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for trial in range(1_000):
        made = resample(simulated(rng, methods=2, runs=runs, of_seed=of_seed, of_image=of_image), 300, trial)
        interval = difference(made, 0, 1).interval
        assert interval is not None
        inside += interval[0] <= 0 <= interval[1]
    assert low <= inside / 1_000 <= high
