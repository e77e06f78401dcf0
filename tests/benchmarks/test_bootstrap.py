"""Time of the bootstrap of a board: 10,000 test images of 100 classes, 20 methods, three seeds.

``make bench`` measures; in the ordinary tests each runs once, smaller. Beside it, the plain way: one resample after another, each
looking its runs and images up and averaging the classes. Its time grows with the number of resamples alone, so it makes a
hundredth of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

from ltbench.leaderboard.bootstrap import resample
from ltbench.leaderboard.outcomes import Outcomes

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

CLASSES, IMAGES, METHODS, RUNS = 100, 100, 20, 3
PLAIN = 100  # resamples of the plain way


@pytest.fixture(scope="module")
def board() -> Outcomes:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), IMAGES)
    right = rng.random((METHODS, RUNS, len(labels))) < 0.3
    return Outcomes(tuple((0, seed) for seed in range(RUNS)), right, labels, np.geomspace(500, 5, CLASSES).astype(np.int64))


def one_by_one(board: Outcomes, resamples: int) -> npt.NDArray[np.float64]:
    """Accuracy over all classes of each resample, shape (M, R)."""
    rng = np.random.default_rng(0)
    images = [np.flatnonzero(board.labels == k) for k in range(CLASSES)]
    made = np.empty((METHODS, resamples))
    for r in range(resamples):
        runs = rng.integers(RUNS, size=RUNS - 1)
        ids = np.concatenate([ids[rng.integers(len(ids), size=len(ids) - 1)] for ids in images])
        made[:, r] = 100 * board.correct[:, runs][:, :, ids].reshape(METHODS, -1).mean(axis=1)  # classes of one size
    return made


@pytest.mark.benchmark(group="a bootstrap of 20 methods")
def test_ours(benchmark: BenchmarkFixture, board: Outcomes) -> None:
    made = benchmark.pedantic(resample, (board, 10_000 if benchmark.enabled else PLAIN), rounds=3)
    assert made.resamples.shape[:2] == (4, METHODS)


@pytest.mark.benchmark(group="a bootstrap of 20 methods")
def test_a_hundredth_one_by_one(benchmark: BenchmarkFixture, board: Outcomes) -> None:
    made = benchmark.pedantic(one_by_one, (board, PLAIN), rounds=3)
    assert made.mean() == pytest.approx(30, abs=0.5)
