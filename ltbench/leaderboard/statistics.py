"""How sure a mean over seeds is: Student's t interval (Student, 1908)."""

from __future__ import annotations

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
    """Return the mean of a figure over runs and the half width of its 95 % t interval.

    A figure that one of the runs lacks has no mean: an average over the other runs would be of something else.

    Args:
        values: One a run.
    """
    known = [value for value in values if value is not None]
    n = len(known)
    if not known or n < len(values):
        return Estimate(None, None, n)
    mean = math.fsum(known) / n
    if n == 1:
        return Estimate(mean, None, n)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1))
    return Estimate(mean, t_quantile(n - 1) * deviation / math.sqrt(n), n)


def t_quantile(degrees: int) -> float:
    """Return the two-sided 95 % quantile of Student's t distribution.

    Args:
        degrees: Of freedom, at least 1.
    """
    # scipy.special and not scipy.stats: the latter takes over a second to import, which is most of what a listing may take.
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 1 - (1 - LEVEL) / 2))
