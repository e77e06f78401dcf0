from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from ltbench.leaderboard.bootstrap import Resampled, draw, resample
from ltbench.leaderboard.outcomes import Outcomes
from ltbench.results.accuracy import shot_accuracy


def outcomes(correct: Any, labels: Any = None, class_counts: Any = (200,)) -> Outcomes:
    """What M methods got right in S runs, shape (M, S, N)."""
    right = np.array(correct, dtype=np.bool_)
    truth = np.zeros(right.shape[2], dtype=np.int64) if labels is None else np.array(labels, dtype=np.int64)
    runs = tuple((0, seed) for seed in range(right.shape[1]))
    return Outcomes(runs, right, truth, np.array(class_counts, dtype=np.int64))


def by_loops(given: Outcomes, resamples: int, seed: int) -> Resampled:
    """The same draws, each resample made by hand: runs and images are looked up one by one, and classes averaged as ever."""
    rng = np.random.Generator(np.random.PCG64(seed))
    methods, runs, _ = given.correct.shape
    classes = range(len(given.class_counts))
    drawn_runs = rng.integers(runs, size=(resamples, runs - 1))
    drawn_images = {}
    for k in classes:
        n = int((given.labels == k).sum())
        drawn_images[k] = rng.integers(n, size=(resamples, n - 1)) if n > 1 else np.zeros((resamples, n), dtype=int)
    splits = ("all", "many", "medium", "few")
    made = np.full((4, methods, resamples), np.nan)
    for r in range(resamples):
        for m in range(methods):
            figures = []
            for s in drawn_runs[r]:
                hits, total = [], []
                for k in classes:
                    ids = [i for i, label in enumerate(given.labels) if label == k]
                    picked = [ids[i] for i in drawn_images[k][r]]
                    hits.append(sum(bool(given.correct[m, s, i]) for i in picked))
                    total.append(len(picked))
                figures.append(shot_accuracy(hits, total, given.class_counts))
            for i, name in enumerate(splits):
                values = [figure[name] for figure in figures]
                made[i, m, r] = np.mean([v for v in values if v is not None]) if values[0] is not None else np.nan
    return Resampled(given.runs, splits, np.zeros(0), made)


def test_the_same_as_loops() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2, 4], [5, 3, 1, 4])  # class 3 has no test image, class 2 a single one
    given = outcomes(rng.random((3, 4, 13)) < 0.6, rng.permutation(labels), [300, 50, 20, 40, 5])
    ours, slow = resample(given, 40, seed=7), by_loops(given, 40, seed=7)
    assert ours.splits == slow.splits
    np.testing.assert_allclose(ours.resamples, slow.resamples, rtol=1e-12)


def test_observed_figures_are_those_of_records() -> None:
    given = outcomes([[[1, 1, 0, 1, 0]], [[0, 0, 0, 0, 1]]], [0, 0, 1, 1, 1], [150, 3])
    made = resample(given, 5)
    assert made.splits == ("all", "many", "few")
    # 100 and 1/3; 0 and 1/3.
    np.testing.assert_allclose(made.observed[:, :, 0], [[200 / 3, 50 / 3], [100, 0], [100 / 3, 100 / 3]])


def test_two_runs_and_two_images_give_one_of_four() -> None:
    # One run of two and one image of two are drawn: the resample is one cell of the matrix.
    made = resample(outcomes([[[1, 0], [0, 0]]]), 4_000).resamples[0, 0]
    assert set(made.tolist()) == {0.0, 100.0}
    assert made.mean() == pytest.approx(25, abs=2)


def test_variance_over_images_is_the_textbook_one() -> None:
    # Two of five right: .4 * .6 / (5 - 1) = .06, in percent 600.
    assert resample(outcomes([[[1, 1, 0, 0, 0]]]), 20_000).resamples.var() == pytest.approx(600, rel=0.03)


def test_variance_over_seeds_is_the_textbook_one() -> None:
    # Runs of 0, 0 and 100 %: (100 / sqrt 3)^2 / 3 = 1111.
    alike = [[[0] * 4, [0] * 4, [1] * 4]]
    assert resample(outcomes(alike), 20_000).resamples.var() == pytest.approx(10_000 / 9, rel=0.03)


def test_images_are_the_same_for_all_runs() -> None:
    # Three equal runs say no more of the images than one: drawn anew for each run, the variance would be a third.
    one = [1, 1, 0, 0, 0]
    assert resample(outcomes([[one, one, one]]), 20_000).resamples.var() == pytest.approx(600, rel=0.03)


def test_equal_methods_never_differ() -> None:
    right = np.random.default_rng(0).random((1, 3, 30)) < 0.5
    made = resample(outcomes(np.concatenate([right, right])), 500).resamples
    assert (made[:, 0] == made[:, 1]).all() and made.std() > 0


def test_draws_depend_on_the_seed_alone() -> None:
    given = outcomes(np.random.default_rng(0).random((2, 3, 30)) < 0.5)
    first, same, other = (resample(given, 1_500, seed).resamples for seed in (1, 1, 2))
    assert (first == same).all() and (first != other).any()
    np.testing.assert_array_equal(first[:, :, :1_000], resample(given, 1_000, 1).resamples)


def test_draws_are_the_same_everywhere() -> None:
    often = draw(np.random.Generator(np.random.PCG64(0)), 4, 3)
    assert often.tolist() == [[0, 0, 2, 1], [1, 2, 0, 0], [3, 0, 0, 0]]


def test_a_single_thing_is_always_drawn() -> None:
    assert draw(np.random.Generator(np.random.PCG64(0)), 1, 3).tolist() == [[1], [1], [1]]


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match=r"correct must be of shape \(M, 1, 2\), got \(1, 1, 3\)"):
        Outcomes(((0, 0),), np.zeros((1, 1, 3), dtype=np.bool_), np.zeros(2, dtype=np.int64), np.ones(1, dtype=np.int64))


def test_no_torch_is_imported() -> None:
    code = "import sys; import ltbench.leaderboard.comparison, ltbench.leaderboard.ranking; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
