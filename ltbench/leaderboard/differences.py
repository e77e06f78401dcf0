"""The difference between two methods, how sure it is, and how it compares with chance.

The bootstrap gives the standard error; Student's t gives the quantile. Percentiles of the resamples themselves would not do: with
three seeds there are only six ways to draw two of them, so where seeds matter the resamples end where the three seeds do, and a
95 % interval of percentiles holds the truth three times in four. A correction over hundreds of pairs asks for tails far beyond.

How heavy the tails are follows from what the standard error rests on (Satterthwaite, 1946): the part that comes from S runs is
known to S - 1 degrees of freedom, the part that comes from thousands of images to so many that they set no limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ltbench.leaderboard.bootstrap import Floats, Resampled
from ltbench.results.interval import FEWEST_SEEDS, LEVEL, cut

# To a point of accuracy: 100 points squared, times 10,000 resamples, stay below 2^53.
_STEPS = 4096


@dataclass(frozen=True)
class Difference:
    """Hold the accuracies of two methods in a split, in percent as means over the runs, and their difference.

    Args:
        split: ``all``, ``many``, ``medium`` or ``few``.
        value: Second minus first.
        interval: Its 95 % interval, within -100 to 100; None for fewer than three runs, which say too little of other seeds.
        p: Probability of a difference at least as far from 0 if there were none; None likewise.
    """

    split: str
    first: float
    second: float
    value: float
    interval: tuple[float, float] | None
    p: float | None


@dataclass(frozen=True)
class Spread:
    """Hold how much a difference varies.

    Args:
        total: Variance over seeds and images, from the resamples.
        of_seeds: Variance of the mean over the runs as the runs show it.
        degrees: Of freedom of ``of_seeds``.
    """

    total: float
    of_seeds: float
    degrees: int

    def at_least(self, of_seeds: float, degrees: int) -> Spread:
        """Raise the part of the seeds to a floor that is known to more degrees of freedom; a larger part stays.

        Args:
            of_seeds: The floor.
            degrees: Of freedom of the floor.
        """
        if self.of_seeds >= of_seeds:
            return self
        return Spread(self.total - self.of_seeds + of_seeds, of_seeds, degrees)

    def degrees_of_total(self) -> float:
        """Return the degrees of freedom of the total: those of the seeds, and the more the smaller their part."""
        return self.degrees * max(1.0, (self.total / self.of_seeds) ** 2) if self.of_seeds else math.inf


def difference(resampled: Resampled, first: int, second: int, split: str = "all", spread: Spread | None = None) -> Difference:
    """Compare two methods that were resampled together.

    Args:
        first: Position of one, the baseline.
        split: One of the splits resampled.
        spread: What :func:`spread_of` says of the two, if that is known already.
    """
    one, two = resampled.observed[resampled.splits.index(split), [first, second]].tolist()  # S accuracies each
    means = math.fsum(one) / len(one), math.fsum(two) / len(two)
    value = math.fsum(b - a for a, b in zip(one, two, strict=True)) / len(one)
    if len(one) < FEWEST_SEEDS:
        return Difference(split, *means, value, None, None)
    spread = spread or spread_of(resampled, first, second, split)
    half = half_width(spread)
    return Difference(split, *means, value, cut((value - half, value + half), (-100.0, 100.0)), p_value(value, spread))


def spread_of(resampled: Resampled, first: int, second: int, split: str = "all") -> Spread:
    """Return how much the difference of two methods varies.

    Args:
        split: One of the splits resampled.
    """
    i = resampled.splits.index(split)
    runs = resampled.observed[i, second] - resampled.observed[i, first]  # (S,)
    total = _variance(resampled.resamples[i, second] - resampled.resamples[i, first])
    return Spread(total, _variance(runs) / len(runs), len(runs) - 1)


def spreads_of_all(resampled: Resampled) -> list[Spread]:
    """Return how much every pair's difference varies over all classes, in the order of :func:`itertools.combinations`.

    As :func:`spread_of`, but by one product of matrices, for the pairs of 500 methods are 124,750. Resamples are rounded to
    multiples of 1 / 4096 points for it: they and all sums of their products are then whole numbers below 2^53, which no order of
    summation rounds, so that every machine finds the same. Rounding moves a variance in its fifth digit.
    """
    i = resampled.splits.index("all")
    steps = np.rint(resampled.resamples[i] * _STEPS)  # (M, R)
    count = steps.shape[1]
    first, second = np.triu_indices(len(steps), k=1)
    products, sums = steps @ steps.T, steps.sum(axis=1)  # (M, M), (M,)
    squares = np.diagonal(products)[first] + np.diagonal(products)[second] - 2 * products[first, second]
    total = np.maximum(squares - (sums[second] - sums[first]) ** 2 / count, 0) / (count - 1) / _STEPS**2
    runs = resampled.observed[i, second] - resampled.observed[i, first]  # (pairs, S)
    seeds = runs.shape[1]
    mean = sum(runs.T) / seeds  # a sum in a fixed order
    of_seeds = sum((runs.T - mean) ** 2) / (seeds - 1) / seeds
    return [Spread(one, of_run, seeds - 1) for one, of_run in zip(total.tolist(), of_seeds.tolist(), strict=True)]


def half_width(spread: Spread) -> float:
    """Return half the width of a difference's 95 % interval."""
    # scipy.special and not scipy.stats, which takes over a second to import.
    from scipy.special import ndtri, stdtrit

    degrees, tail = spread.degrees_of_total(), (1 + LEVEL) / 2
    return math.sqrt(spread.total) * float(stdtrit(degrees, tail) if math.isfinite(degrees) else ndtri(tail))


def p_value(value: float, spread: Spread) -> float:
    """Return the two-sided p-value of a difference; what never varies differs surely or not at all."""
    from scipy.special import ndtr, stdtr

    if spread.total == 0:
        return 1.0 if value == 0 else 0.0
    degrees, statistic = spread.degrees_of_total(), -abs(value) / math.sqrt(spread.total)
    return 2 * float(stdtr(degrees, statistic) if math.isfinite(degrees) else ndtr(statistic))


def _variance(values: Floats) -> float:
    """Return a sample variance by exact sums, so that no machine rounds it otherwise."""
    apart = values - math.fsum(values.tolist()) / len(values)
    return math.fsum((apart * apart).tolist()) / (len(values) - 1)
