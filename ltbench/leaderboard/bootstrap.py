"""A paired bootstrap over seeds and test images (Owen, 2007, "The pigeonhole bootstrap").

A figure on a board varies for two reasons: another seed gives another network, and another test part would have held other
images. Each resample therefore draws runs, then images within each class (so that classes keep their weight), and computes every
method's accuracies from them. All methods get the same draws: what an easy image or a lucky first stage gives to both cancels in
their difference.

Every run meets the same images, so images are not nested in runs but crossed with them, and one draw of images serves all runs of
a resample. Drawing images anew for each run would treat an image that is hard for every run as if it were hard once: its part of
the variance would be divided by the number of runs. No bootstrap is exact for crossed factors (McCullagh, 2000); this one is
conservative (Owen, 2007; Owen and Eckles, 2012): what is neither the run's nor the image's part but a matter of both is counted
up to three times, so that a standard error is too large by at most the square root of 3.

Of n runs n - 1 are drawn, and likewise of the n images of a class (Rao and Wu, 1988): drawing n makes the variance too small by a
factor of (n - 1) / n, a third with three seeds or with the three test images of a class of iNaturalist. A class with one test
image has nothing to draw from and keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ltbench.leaderboard.outcomes import Outcomes
from ltbench.leaderboard.rows import Run
from ltbench.results.accuracy import SPLITS, shot_accuracy

RESAMPLES = 10_000
# Resamples drawn together. It bounds memory, and it is a part of what the seed means: another number gives other draws.
_TOGETHER = 1_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Resampled:
    """Hold accuracies in percent as they were and as they might have been.

    Args:
        runs: Split seed and seed of each run, S of them.
        splits: Those that hold a class with test images, K of them.
        observed: Of each run, float64, shape (K, M, S).
        resamples: Means over the runs drawn, float64, shape (K, M, R).
    """

    runs: tuple[Run, ...]
    splits: tuple[str, ...]
    observed: Floats
    resamples: Floats


def resample(outcomes: Outcomes, resamples: int = RESAMPLES, seed: int = 0) -> Resampled:
    """Draw runs and images, and compute every method's accuracies from each draw.

    What an image contributes is how often it was drawn, so a class costs one product of an (R, n) matrix of counts with the
    (n, M S) matrix of what was right. Its entries are whole numbers, which are exact in any order of summation; the sums over
    classes and runs are taken in a fixed order: the same seed gives the same figures on any machine.

    Args:
        outcomes: Of M methods in S runs. With one run only images are drawn.
        resamples: R.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    figures = _figures(outcomes)
    splits = tuple(name for name in SPLITS if figures[0][0][name] is not None)
    observed = np.array([[[run[name] for run in runs] for runs in figures] for name in splits], dtype=np.float64)
    classes = _classes(outcomes, splits)
    parts = [_together(rng, classes, observed.shape, min(_TOGETHER, resamples - start))
             for start in range(0, resamples, _TOGETHER)]
    return Resampled(outcomes.runs, splits, observed, np.concatenate(parts, axis=2))


def draw(rng: np.random.Generator, n: int, resamples: int) -> npt.NDArray[np.int64]:
    """Draw n - 1 of n things with replacement, and return how often each came, shape (R, n); a single thing always comes once.

    Args:
        rng: Only its integers are used.
        n: At least 1.
        resamples: R.
    """
    if n == 1:
        return np.ones((resamples, 1), dtype=np.int64)
    picks = rng.integers(n, size=(resamples, n - 1), dtype=np.int64)
    picks += n * np.arange(resamples)[:, None]
    return np.bincount(picks.ravel(), minlength=n * resamples).reshape(resamples, n)


class _Class(NamedTuple):
    """Hold what was right in a class's n test images, shape (M, S, n), and the positions of its splits."""

    right: npt.NDArray[np.bool_]
    splits: tuple[int, ...]


def _classes(outcomes: Outcomes, splits: tuple[str, ...]) -> list[_Class]:
    """Return the classes that have test images, in order."""
    order = np.argsort(outcomes.labels, kind="stable")
    present, starts = np.unique(outcomes.labels[order], return_index=True)
    # A class alone has an accuracy in the splits that it belongs to.
    alone = [shot_accuracy([1], [1], outcomes.class_counts[[k]], outcomes.splits) for k in present]
    return [_Class(outcomes.correct[:, :, ids], tuple(i for i, name in enumerate(splits) if figures[name] is not None))
            for ids, figures in zip(np.split(order, starts[1:]), alone, strict=True)]


def _together(rng: np.random.Generator, classes: Sequence[_Class], shape: tuple[int, ...], resamples: int) -> Floats:
    """Return the accuracies of some resamples, shape (K, M, r)."""
    splits, methods, runs = shape
    often = draw(rng, runs, resamples)  # (r, S)
    sums = np.zeros((*shape, resamples))
    sizes = np.zeros(splits)
    for right, places in classes:
        n = right.shape[2]
        counts = draw(rng, n, resamples).astype(np.float32)  # whole numbers: exact in float32 below 2^24
        hits = right.reshape(methods * runs, n).astype(np.float32) @ counts.T  # (M S, r)
        accuracy = hits.astype(np.float64).reshape(methods, runs, resamples) / max(n - 1, 1)
        for i in places:
            sums[i] += accuracy
            sizes[i] += 1
    totals = np.zeros((splits, methods, resamples))
    for s in range(runs):
        totals += sums[:, :, s] * often[:, s]
    totals *= (100 / (sizes * max(runs - 1, 1)))[:, None, None]
    return totals


def _figures(outcomes: Outcomes) -> list[list[dict[str, float | None]]]:
    """Return the accuracies of M methods in S runs, as their records have them."""
    counts = outcomes.class_counts
    total = np.bincount(outcomes.labels, minlength=len(counts))
    return [[shot_accuracy(np.bincount(outcomes.labels[right], minlength=len(counts)), total, counts, outcomes.splits)
             for right in runs]
            for runs in outcomes.correct]
