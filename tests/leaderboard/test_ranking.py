from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltbench.leaderboard.bootstrap import resample
from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.differences import Difference
from ltbench.leaderboard.outcomes import Outcome, believe
from ltbench.leaderboard.ranking import (
    NOT_COMPARED,
    TIED,
    WORSE,
    Pair,
    compare_all,
    holm,
    rank_intervals,
    standings,
    undistinguished,
)
from ltbench.leaderboard.rows import Table
from ltbench.results import records
from tests.support import record_factory
from tests.support.simulated import simulated

BOARD = Path(__file__).resolve().parents[2] / "leaderboards" / "cifar100-lt" / "results"


def test_holm_by_hand() -> None:
    # Sorted .005, .01, .03, .04 times 4, 3, 2, 1: .02, .03, .06, .04; the last may not fall below .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.6]) == [1.0, 1.0] and holm([]) == []
    assert holm([0.04]) == [0.04]


def _pairs(figures: list[float], distinct: set[tuple[int, int]]) -> tuple[Pair, ...]:
    """All pairs of methods, of which some can be told apart."""
    return tuple(Pair(i, j, Difference("all", figures[i], figures[j], figures[j] - figures[i], None, None),
                      0.01 if (i, j) in distinct else 0.2)
                 for i in range(len(figures)) for j in range(i + 1, len(figures)))


def test_ranks_by_hand() -> None:
    # The first beats the last two, the second beats the last: nobody else can be told apart.
    pairs = _pairs([40.0, 39.0, 35.0, 34.0], {(0, 2), (0, 3), (1, 3)})
    assert rank_intervals(4, pairs) == [(1, 2), (1, 3), (2, 4), (3, 4)]
    assert undistinguished(4, pairs) == {0, 1}


def test_the_best_need_not_stand_first() -> None:
    pairs = _pairs([30.0, 40.0, 39.0], {(0, 1)})
    assert rank_intervals(3, pairs) == [(2, 3), (1, 2), (1, 3)]
    assert undistinguished(3, pairs) == {1, 2}


def test_one_method_is_the_best() -> None:
    assert rank_intervals(1, ()) == [(1, 1)] and undistinguished(1, ()) == {0} and undistinguished(0, ()) == set()


def test_the_average_pair_gives_the_least_variance() -> None:
    # Two of three methods are one: their difference is 0 in all runs, so their own variance is 0 and p is 1 with any floor.
    made = simulated(np.random.default_rng(0), methods=2, runs=3, of_seed=0.1)
    right = np.concatenate([made.correct, made.correct[:1]])
    pairs = compare_all(resample(type(made)(made.runs, right, made.labels, made.class_counts), 200))
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 1), (0, 2), (1, 2)]
    assert (pairs[1].difference.value, pairs[1].adjusted) == (0.0, 1.0)
    assert all(pair.adjusted >= (pair.difference.p or 0) for pair in pairs)


def test_two_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="runs must be at least 3 to tell methods apart, got 2"):
        compare_all(resample(simulated(np.random.default_rng(0), methods=2, runs=2), 10))


@pytest.mark.slow
@pytest.mark.parametrize(("runs", "of_seed", "of_image"), [(3, 0.02, 0.1), (3, 0.15, 0.05), (5, 0.15, 0.05)])
def test_equal_methods_are_hardly_ever_told_apart(runs: int, of_seed: float, of_image: float) -> None:
    assert _false_tables(runs, of_seed, of_image)[0] <= 0.05


@pytest.mark.slow
def test_three_seeds_of_a_pair_alone_would_not_do() -> None:
    corrected, alone = _false_tables(3, 0.15, 0.05)
    assert corrected <= 0.05 < 0.15 < alone


def _false_tables(runs: int, of_seed: float, of_image: float) -> tuple[float, float]:
    """Share of tables of six equal methods in which two are told apart; and without the average pair's variance as a floor."""
    rng = np.random.default_rng(1)
    apart = alone = 0
    for trial in range(300):
        pairs = compare_all(resample(simulated(rng, methods=6, runs=runs, of_seed=of_seed, of_image=of_image), 300, trial))
        apart += any(pair.distinct for pair in pairs)
        alone += min(holm([pair.difference.p or 0 for pair in pairs])) <= 0.05
    return apart / 300, alone / 300


def _write(directory: Path, expression: str, right: list[tuple[int, int, int, int]], **changes: Any) -> None:
    """One run a figure: how many of each class's three images are right."""
    for seed, hits in enumerate(right):
        given = record_factory.predictions(right=hits)
        value = record_factory.record(given, expression=expression, task__seed=seed, **changes)
        record_factory.write(value, given, directory, f"{expression}-{seed}")


def _outcomes(table: Table) -> dict[Path, Outcome]:
    return {item.path: believe(item) for row in table.rows for item in row.completed}


def _table(directory: Path) -> tuple[Table, dict[Path, Outcome]]:
    stored, problems = records.read_directory(directory)
    (table,), contradictions = collect(stored)
    assert problems == contradictions == []
    return table, _outcomes(table)


def test_rows_without_the_common_runs_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path, "best", [(3, 3, 3, 2), (3, 3, 3, 3), (3, 3, 3, 3)])
    _write(tmp_path, "good", [(3, 3, 2, 2), (3, 2, 3, 2), (3, 3, 3, 3), (3, 3, 3, 3)])
    _write(tmp_path, "twice", [(0, 0, 0, 0)] * 2)
    _write(tmp_path, "once", [(3, 3, 3, 3)])
    _write(tmp_path, "low", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0)])
    broken = record_factory.broken("diverged", expression="half", task__seed=1)
    _write(tmp_path, "half", [(3, 3, 3, 3)])
    record_factory.write(broken, None, tmp_path, "half-1")
    found = standings(*_table(tmp_path), resamples=200)
    assert {row.method: row.left_out for row in found.rows} == {
        "once": "one seed", "best": None, "good": None, "low": None, "half": "a run broke",
        "twice": "two seeds",
    }
    assert found.runs == ((0, 0), (0, 1), (0, 2)) and found.compared == ("best", "good", "low")
    assert [row.ranks for row in found.rows] == [None, (1, 2), (1, 2), (3, 3), None, None]
    assert [row.best for row in found.rows] == [False, True, True, False, False, False]
    assert [str(row) for row in found.rows] == [NOT_COMPARED, TIED, TIED, WORSE, NOT_COMPARED, NOT_COMPARED]


def test_rows_of_other_seeds_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path, "first", [(3, 3, 2, 2), (3, 2, 3, 2), (3, 2, 3, 2)])
    _write(tmp_path, "second", [(3, 1, 2, 2), (3, 2, 1, 2), (3, 2, 1, 2)])
    for seed in (5, 6, 7):
        given = record_factory.predictions(right=(1, 1, 1, 1))
        record_factory.write(record_factory.record(given, expression="other", task__seed=seed), given, tmp_path, f"other-{seed}")
    found = standings(*_table(tmp_path), resamples=50)
    assert [row.left_out for row in found.rows] == [None, None, "no run of seeds 0, 1, 2 of split seed 0"]


def test_an_unranked_table_has_no_standings(tmp_path: Path) -> None:
    _write(tmp_path, "one", [(3, 3, 2, 2), (3, 2, 3, 2)], protocol__name="custom")
    found = standings(*_table(tmp_path))
    assert [(row.left_out, row.ranks, row.best) for row in found.rows] == [("custom protocol", None, False)]
    assert found.pairs == ()


def test_standings_of_a_real_board() -> None:
    stored, _ = records.read_directory(BOARD)
    (table,) = (table for table in collect(stored)[0] if (table.protocol.name, table.precision) == ("quick", "fp32"))
    found = standings(table, _outcomes(table), resamples=1_000)
    by_method = {row.method: row for row in found.rows}
    assert (by_method["ce/crt"].best, by_method["ce/crt"].ranks) == (True, (1, 2))
    assert (by_method["drw+nc"].left_out, by_method["drw"].left_out) == ("one seed", "two seeds")
    assert len(found.compared) == 16 and len(found.pairs) == 120
    for row, low, high in ((row, *row.ranks) for row in found.rows if row.ranks):
        assert low <= found.compared.index(row.method) + 1 <= high
