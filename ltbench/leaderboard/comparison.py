"""Two methods side by side: the paired difference by split, and the classes that gain and lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ltbench.errors import UserError
from ltbench.leaderboard.bootstrap import RESAMPLES, resample
from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.differences import Difference, difference
from ltbench.leaderboard.opponents import Opponent
from ltbench.leaderboard.outcomes import Outcomes, believe, stack
from ltbench.leaderboard.rows import Run, name_runs
from ltbench.leaderboard.tables import headings
from ltbench.results.class_names import Named, recorded_names
from ltbench.results.interval import FEWEST_SEEDS
from ltbench.results.tested import tell_of


@dataclass(frozen=True)
class ClassChange:
    """Hold the accuracy of a class with both methods, in percent over all runs, and the second minus the first.

    Args:
        name: What the class is called; None where nobody knows.
    """

    label: int
    name: str | None
    training_images: int
    first: float
    second: float
    change: float


@dataclass(frozen=True)
class Comparison:
    """Hold the difference of two methods on equal terms.

    Args:
        terms: What both share, as a table's heading says it.
        runs: Split seed and seed of each paired run.
        left_out: One line for each thing that had no part.
        tested: Over how many classes the figures are, where some have no test image; None where all have.
        resamples: How many; 0 for fewer than three runs, from which there is no interval.
        differences: Second minus first, one a split that holds classes.
        gaining: Classes that gain most, the largest gain first.
        losing: Classes that lose most, the largest loss first.
    """

    first: str
    second: str
    terms: str
    runs: tuple[Run, ...]
    left_out: tuple[str, ...]
    tested: str | None
    test_images: int
    resamples: int
    differences: tuple[Difference, ...]
    gaining: tuple[ClassChange, ...]
    losing: tuple[ClassChange, ...]


def compare(first: Opponent, second: Opponent, classes: int = 5, resamples: int = RESAMPLES, seed: int = 0,
            named: Named = recorded_names) -> Comparison:
    """Compare two methods over the runs that both completed.

    Args:
        classes: How many that gain, and how many that lose, to name.
        named: What the classes of a record are called.

    Raises:
        UserError: If no run is common to both, or predictions are missing, damaged or not those of their record.
    """
    runs = [run for run in first.runs if run in second.runs]
    if not runs:
        held = " and ".join(name_runs(one.runs) for one in (first, second))
        raise UserError(f"{first.name!r} and {second.name!r} must have a run in common, got {held}")
    outcomes = stack(runs, [[believe(one.runs[run]) for run in runs] for one in (first, second)])
    resampled = resample(outcomes, resamples if len(runs) >= FEWEST_SEEDS else 1, seed)
    tables, _ = collect([first.runs[run] for run in runs])
    changes = sorted(_changes(outcomes, named(first.runs[runs[0]].record)), key=lambda change: (change.change, change.label))
    return Comparison(
        first=first.name,
        second=second.name,
        terms=str(headings(tables)[0]),
        runs=tuple(runs),
        left_out=(*_left_out(first, second.runs), *_left_out(second, first.runs)),
        tested=tell_of(first.runs[run].record for run in runs),
        test_images=len(outcomes.labels),
        resamples=resamples if len(runs) >= FEWEST_SEEDS else 0,
        differences=tuple(difference(resampled, 0, 1, split) for split in resampled.splits),
        gaining=tuple(sorted((c for c in changes if c.change > 0), key=lambda c: (-c.change, c.label))[:classes]),
        losing=tuple([c for c in changes if c.change < 0][:classes]),
    )


def _changes(outcomes: Outcomes, names: Sequence[str] | None) -> list[ClassChange]:
    """Return the change of every class that has test images."""
    changes = []
    for label in np.unique(outcomes.labels).tolist():
        right = outcomes.correct[:, :, outcomes.labels == label]
        images = right[0].size  # of all runs
        first, second = right.sum(axis=(1, 2)).tolist()
        change = 100 * (second - first) / images
        changes.append(ClassChange(label, None if names is None else names[label], int(outcomes.class_counts[label]),
                                   100 * first / images, 100 * second / images, change))
    return changes


def _left_out(one: Opponent, other: Mapping[Run, object]) -> list[str]:
    alone = [run for run in one.runs if run not in other]
    lines = [f"{one.name}: {name_runs(alone)}, which the other has not completed"] if alone else []
    return lines + ([f"{one.name}: {one.broken} of its runs diverged or failed"] if one.broken else [])
