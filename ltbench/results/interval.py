"""How sure a mean over seeds is: Student's t interval (Student, 1908)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

LEVEL = 0.95
FEWEST_SEEDS = 3  # of an interval: by two, Student's is 25 times as wide as a standard error, and says nothing
Ends: TypeAlias = tuple[float, float]
EVERYWHERE: Ends = (-math.inf, math.inf)
_PERCENT = ("balanced_error", "worst_class", "worst_tenth", "harmonic_mean")


@dataclass(frozen=True)
class Estimate:
    """Hold a mean over runs.

    Args:
        mean: None where the figure does not exist (an empty split).
        interval: Ends of the 95 % interval of the mean, none of them where the figure cannot be; None for fewer than three runs,
            which say too little of spread.
        runs: How many figures went in.
    """

    mean: float | None
    interval: Ends | None
    runs: int

    @property
    def half_width(self) -> float | None:
        """The longer side of the interval."""
        if self.mean is None or self.interval is None:
            return None
        return max(self.interval[1] - self.mean, self.mean - self.interval[0])


def estimate(values: Sequence[float | None], within: Ends = EVERYWHERE) -> Estimate:
    """Estimate a figure from its values, one a run.

    A figure that one of the runs lacks has no mean: an average over the other runs would be of something else.

    Args:
        within: Between which values the figure lies: the interval ends there at the latest.
    """
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return Estimate(None, None, len(known))
    mean, half = mean_interval(known)
    return Estimate(mean, None if half is None else cut((mean - half, mean + half), within), len(known))


def cut(interval: Ends, within: Ends) -> Ends:
    """Return what of an interval lies within another: the truth does, too."""
    return max(interval[0], within[0]), min(interval[1], within[1])


def mean_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean of n values, and half the width of its 95 % interval, t(0.975, n - 1) s / sqrt(n).

    Sums are exact, so that the same values give the same figures on any machine. Fewer than three values have no interval.

    Args:
        values: At least one, for example of one figure over seeds.
    """
    n = len(values)
    if n < 2:
        return float(values[0]), None
    mean, deviation = mean_and_deviation(values)
    return mean, t_quantile(n - 1) * deviation / math.sqrt(n) if n >= FEWEST_SEEDS else None


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


def within(metric: str) -> Ends:
    """Return between which values a figure lies, by its dotted name in a record."""
    if metric.startswith(("accuracy.", "label_shift.")) or metric in _PERCENT:
        return 0.0, 100.0
    return {"ece": (0.0, 1.0), "test_loss": (0.0, math.inf)}.get(metric, EVERYWHERE)
