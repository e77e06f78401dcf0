"""How sure a mean over seeds is: Student's t interval (Student, 1908)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """Hold a mean over runs.

    Args:
        mean: None where the figure does not exist (an empty split).
        half_width: Of the 95 % interval of the mean; None for a single run, which says nothing of spread.
        runs: How many figures went in.
    """

    mean: float | None
    half_width: float | None
    runs: int


def estimate(values: Sequence[float | None]) -> Estimate:
    """Estimate a figure from its values, one a run.

    A figure that one of the runs lacks has no mean: an average over the other runs would be of something else.
    """
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return Estimate(None, None, len(known))
    return Estimate(*mean_interval(known), len(known))


def mean_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean of n values, and half the width of its 95 % interval, t(0.975, n - 1) s / sqrt(n).

    Sums are exact, so that the same values give the same figures on any machine. A single value has no interval.

    Args:
        values: At least one, for example of one figure over seeds.
    """
    n = len(values)
    if n == 1:
        return float(values[0]), None
    mean, deviation = mean_and_deviation(values)
    return mean, t_quantile(n - 1) * deviation / math.sqrt(n)


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the standard deviation (divided by n - 1) of at least two values."""
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


@functools.cache
def t_quantile(degrees: int) -> float:
    """Return the two-sided 95 % quantile of Student's t distribution with at least one degree of freedom."""
    # scipy.special and not scipy.stats: the latter takes over a second to import, which is most of what a listing may take.
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 1 - (1 - LEVEL) / 2))
