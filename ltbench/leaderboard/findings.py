"""Claims of papers beside what was measured: on the paper's own terms, and on those of each table of the common track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ltbench.leaderboard.bootstrap import resample
from ltbench.leaderboard.claims import Claim, decide
from ltbench.leaderboard.differences import Difference, difference
from ltbench.leaderboard.outcomes import Outcome, stack
from ltbench.leaderboard.ranking import Standings
from ltbench.leaderboard.reported import Printed, differing
from ltbench.leaderboard.rows import Row, Table
from ltbench.results.schema import Record
from ltbench.terms.protocol import COMMON, PAPER
from ltbench.terms.shots import USUAL

PAPERS_TERMS = "the paper's terms"


@dataclass(frozen=True)
class Measured:
    """Hold a table with what its statistics are made of.

    Args:
        outcomes: What each completed run got right, by the file of its record.
    """

    table: Table
    standings: Standings
    outcomes: Mapping[Path, Outcome]


@dataclass(frozen=True)
class Finding:
    """Hold a claim beside one measured difference.

    Args:
        terms: On which it was measured, as text for people.
        difference: Better minus worse, over the runs that both rows completed.
        runs: How many.
        verdict: One of the constants of :mod:`ltbench.leaderboard.claims`.
        reason: What else there is to say; empty where nothing is.
    """

    claim: Claim
    terms: str
    difference: Difference
    runs: int
    verdict: str
    reason: str


def findings(claim: Claim, measured: Sequence[Measured]) -> list[Finding]:
    """Return what was measured of a claim, the paper's own terms first, then the tables of the common track in their order.

    Where many, medium and few part elsewhere than in print, nothing was measured of it.
    """
    measured = [one for one in measured if one.table.protocol.bounds == USUAL]
    found = []
    pairs = [(PAPERS_TERMS, _on_papers_terms(claim.better, measured), _on_papers_terms(claim.worse, measured))]
    if claim.common is not None:
        for one in measured:
            if one.table.track == COMMON and _of(claim.better) == (one.table.dataset, one.table.imbalance_ratio):
                better, worse = (_by_expression(one, text) for text in claim.common)
                pairs.append((_terms(one.table), better, worse))
    for terms, better, worse in pairs:
        if better is not None and worse is not None and (compared := _compare(claim.split, better, worse)) is not None:
            value, runs = compared
            found.append(Finding(claim, terms, value, runs, *decide(claim, value, runs)))
    return found


def _compare(split: str, better: tuple[Measured, Row], worse: tuple[Measured, Row]) -> tuple[Difference, int] | None:
    """Return better minus worse over the runs of both, and how many these are; None where they share none, or no such classes."""
    (one, first), (other, second) = better, worse
    shared = [run for run in first.runs if run in second.runs]
    if not shared:
        return None
    if len(shared) == 1:
        low, high = (_accuracy(row.runs[shared[0]].record, split) for row in (second, first))
        return None if low is None or high is None else (Difference(split, low, high, high - low, None, None), 1)
    together = one.standings
    if one is other and together.resampled and set(shared) == set(together.runs) and (
            {first.method, second.method} <= set(together.compared)):
        resampled, places = together.resampled, [together.compared.index(row.method) for row in (second, first)]
    else:
        rows = [[source.outcomes[row.runs[run].path] for run in shared] for source, row in ((other, second), (one, first))]
        resampled, places = resample(stack(shared, rows)), [0, 1]
    if split not in resampled.splits:
        return None
    return difference(resampled, places[0], places[1], split), len(shared)


def _accuracy(record: Record, split: str) -> float | None:
    return None if record.metrics is None else record.metrics.accuracy.as_dict().get(split)


def _on_papers_terms(row: Printed, measured: Sequence[Measured]) -> tuple[Measured, Row] | None:
    tables = [one for one in measured if one.table.track == PAPER and _of(row) == (one.table.dataset, one.table.imbalance_ratio)]
    return next(((one, mine) for one in tables for mine in one.table.rows
                 if mine.completed and mine.whole and not differing(one.table, mine, row)), None)


def _by_expression(one: Measured, expression: str) -> tuple[Measured, Row] | None:
    return next(((one, row) for row in one.table.rows if row.expression == expression and row.whole
                 and not row.other_code), None)


def _of(row: Printed) -> tuple[str, float | None]:
    return row.dataset, row.imbalance_ratio


def _terms(table: Table) -> str:
    protocol = table.protocol
    return f"{table.track} track, {protocol.name + ' protocol, ' if protocol.name != table.track else ''}{protocol.epochs} epochs"
