"""What a table's ranks are worth: which rows can be told apart, and between which ranks each row may stand.

All pairs of a table's rows are compared at once, so their p-values are corrected together (Holm, 1979): the probability of even
one false difference in the table is at most 5 %. A row's rank lies between one more than the rows shown to be better, and the
number of rows less those shown to be worse (Mogstad, Romano, Shaikh and Wilhelm, 2024): as no difference is false in 95 % of
tables, all ranks of a table lie within their intervals together.

Among hundreds of pairs some show hardly any variation over three seeds by luck, and would be told apart for that. No pair's
variance over seeds is therefore taken to be less than the table's average one. In a simulation of six equal methods with three
seeds that matter, the share of tables with a false difference fell from 27 % to 2 % by this.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from ltbench.leaderboard.bootstrap import RESAMPLES, Resampled, resample
from ltbench.leaderboard.differences import Difference, difference, p_value, spreads_of_all
from ltbench.leaderboard.outcomes import Outcome, stack
from ltbench.leaderboard.rows import Run, Table
from ltbench.results.interval import FEWEST_SEEDS, LEVEL

TIED, WORSE, NOT_COMPARED = "best or tied with it", "worse than the best", "not compared"


@dataclass(frozen=True)
class Pair:
    """Hold the difference between two rows.

    Args:
        first: Position of a row among those compared.
        second: Position of another below it.
        difference: Second minus first, with a p-value of its own.
        adjusted: The p-value after Holm's correction over all pairs, with no less variance over seeds than the average pair's.
    """

    first: int
    second: int
    difference: Difference
    adjusted: float

    @property
    def distinct(self) -> bool:
        """Whether the two rows can be told apart."""
        return self.adjusted <= 1 - LEVEL


@dataclass(frozen=True)
class Standing:
    """Hold what the statistics say of one row of a table.

    Args:
        left_out: Why the row was not compared; None if it was.
        ranks: Lowest and highest rank that the data allow, of all compared rows at once; None if left out.
        best: Whether the row is the best one or cannot be told from it.
    """

    method: str
    left_out: str | None
    ranks: tuple[int, int] | None
    best: bool

    def __str__(self) -> str:
        """Whether the row leads; a row that was not compared is not worse than one that does."""
        return NOT_COMPARED if self.left_out else TIED if self.best else WORSE


@dataclass(frozen=True)
class Standings:
    """Hold what the statistics say of a table.

    Args:
        rows: In the order of the table's.
        runs: Split seeds and seeds that all compared rows share.
        compared: Methods compared, best first.
        pairs: All pairs of them, by their positions in ``compared``.
        resampled: What their differences are made of, in that order; None where fewer than two were compared.
    """

    rows: tuple[Standing, ...]
    runs: tuple[Run, ...]
    compared: tuple[str, ...]
    pairs: tuple[Pair, ...]
    resampled: Resampled | None = None


def standings(table: Table, outcomes: Mapping[Path, Outcome], resamples: int = RESAMPLES, seed: int = 0) -> Standings:
    """Compare the rows of a table over all classes.

    Rows are compared over the same runs, those that most rows completed; a row that lacks one of them, or broke in any, is left
    out and says why.

    Args:
        outcomes: What each completed run got right, by the file of its record.

    Raises:
        UserError: If runs that are compared were tested on other images.
    """
    held = [row.runs for row in table.rows]
    runs, reasons = table.common_runs, table.left_out()
    chosen = [i for i, reason in enumerate(reasons) if reason is None]
    pairs: tuple[Pair, ...] = ()
    resampled = None
    if len(chosen) > 1:
        compared = [[outcomes[held[i][run].path] for run in runs] for i in chosen]
        resampled = resample(stack(runs, compared), resamples, seed)
        pairs = compare_all(resampled)
    intervals = dict(zip(chosen, rank_intervals(len(chosen), pairs), strict=True))
    best = {chosen[i] for i in undistinguished(len(chosen), pairs)}
    rows = tuple(Standing(row.method, reasons[i], intervals.get(i), i in best) for i, row in enumerate(table.rows))
    return Standings(rows, runs, tuple(table.rows[i].method for i in chosen), pairs, resampled)


def compare_all(resampled: Resampled) -> tuple[Pair, ...]:
    """Compare every pair of methods over all classes, in the order of :func:`itertools.combinations`.

    Raises:
        ValueError: If there are fewer than three runs: they have no p-values.
    """
    if len(resampled.runs) < FEWEST_SEEDS:
        raise ValueError(f"runs must be at least {FEWEST_SEEDS} to tell methods apart, got {len(resampled.runs)}")
    places = list(combinations(range(resampled.observed.shape[1]), 2))
    spreads = spreads_of_all(resampled)
    floor = math.fsum(spread.of_seeds for spread in spreads) / max(len(spreads), 1)
    degrees = (len(resampled.runs) - 1) * (resampled.observed.shape[1] - 1)  # as many as the methods' differences have
    differences = [difference(resampled, *place, spread=spread) for place, spread in zip(places, spreads, strict=True)]
    raised = [p_value(d.value, spread.at_least(floor, degrees)) for d, spread in zip(differences, spreads, strict=True)]
    return tuple(Pair(*place, d, p) for place, d, p in zip(places, differences, holm(raised), strict=True))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for being so many (Holm, 1979).

    The k-th smallest of m counts m - k + 1 times, and none counts less than a smaller one.

    Args:
        p_values: Each in [0, 1].
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def rank_intervals(methods: int, pairs: Iterable[Pair]) -> list[tuple[int, int]]:
    """Return the ranks between which each method may stand, all at once with 95 % confidence.

    Args:
        pairs: All pairs of them, adjusted together.
    """
    better, worse = [0] * methods, [0] * methods
    for pair in pairs:
        if pair.distinct:
            low, high = (pair.first, pair.second) if pair.difference.value > 0 else (pair.second, pair.first)
            better[low] += 1
            worse[high] += 1
    return [(1 + above, methods - below) for above, below in zip(better, worse, strict=True)]


def undistinguished(methods: int, pairs: Sequence[Pair]) -> set[int]:
    """Return the method of the highest accuracy and those that cannot be told from it.

    Args:
        pairs: All pairs of them, adjusted together.
    """
    figures = {place: figure for pair in pairs
               for place, figure in ((pair.first, pair.difference.first), (pair.second, pair.difference.second))}
    if not figures:
        return set(range(methods))
    best = max(sorted(figures), key=figures.__getitem__)
    told = {pair.first + pair.second - best for pair in pairs if pair.distinct and best in (pair.first, pair.second)}
    return set(range(methods)) - told
