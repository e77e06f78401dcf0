"""The columns of a table: which there are, in which set they stand, and what stands in a cell."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ltbench.leaderboard.export import read_estimate
from ltbench.leaderboard.tables import COLUMNS, NOTHING, format_interval
from ltbench.results.interval import Estimate
from ltbench.terms.shots import Splits

SHIFT = re.compile(r"label_shift\.(published|built)\.((?:for|back)ward)([\d.]+)\.accuracy")
SETS = {"classes": "Class sizes", "trust": "Calibration and shift", "cost": "Cost", "print": "Against print"}
_DIGITS = 6  # significant ones of embedded figures
_MEMORY_UNIT = 2**20
_COUNTED = {"parameters": 1e6, "trainable": 1e6, "relative": 1.0}  # what is counted once for all runs, and its unit
_OF_ALL = "accuracy.all"

_TITLES = {
    "all": "accuracy in percent, mean over all classes",
    "many": "accuracy in percent over classes of more than {0} training images",
    "medium": "accuracy in percent over classes of {1} to {0} training images",
    "few": "accuracy in percent over classes of fewer than {1} training images",
    "worst tenth": "accuracy in percent over the tenth of the classes with the lowest accuracy",
    "harmonic mean": "harmonic mean of the classes' accuracies, in percent",
    "ECE": "expected calibration error, lower is better",
}


class Column(NamedTuple):
    """Hold a column that is sorted by a number.

    Args:
        key: In the embedded data.
        of: The set of columns that it is shown with; empty for the one that always stands there.
        descending: Whether more is better, so that the first click puts the largest on top.
    """

    key: str
    label: str
    title: str
    decimals: int
    descending: bool
    of: str


def columns(rows: Sequence[Mapping[str, Any]], splits: Splits) -> list[Column]:
    """Return the columns of a table: those of which some row may have a figure.

    Args:
        splits: Where many, medium and few part.
    """
    return [*_measures(rows, splits), *_costs(rows)]


def figure(row: Mapping[str, Any], key: str) -> Estimate:
    """Return a figure of a row; what is counted or timed has no interval."""
    runs = len(row["completed"])
    if key == "memory":
        known = [value for value in row["peak_memory_bytes"].values() if value is not None]
        return Estimate(mebibytes(max(known)) if known else None, None, runs)
    if key == "seconds":
        return Estimate(row["seconds"]["mean"], None, runs)
    if key in _COUNTED:
        counted = (row["cost"] or {}).get(key)
        return Estimate(None if counted is None else counted / _COUNTED[key], None, runs)
    found = row["metrics"].get(key)
    return read_estimate(found) if found else Estimate(None, None, 0)


def cell(found: Estimate, decimals: int) -> tuple[str, str]:
    """Write a mean and, apart from it, its interval; an em dash where there is no figure."""
    return NOTHING if found.mean is None else f"{found.mean:.{decimals}f}", format_interval(found, decimals)


def best_cells(cells: Sequence[Sequence[tuple[str, str]]], shown: Sequence[Column], counts: Sequence[bool]) -> list[set[int]]:
    """Return for each column the rows whose figure is the best of those that count, as it is printed.

    What more than a quarter of the rows share sets nobody apart.

    Args:
        counts: Whether each row has a part in it: all runs completed, and more than one.
    """
    best: list[set[int]] = []
    for place, column in enumerate(shown):
        values = {at: float(row[place][0]) for at, row in enumerate(cells) if counts[at] and row[place][0] != NOTHING}
        top = (max if column.descending else min)(values.values(), default=None)
        first = {at for at, value in values.items() if value == top}
        best.append(first if len(values) > 1 and len(first) <= max(1, len(values) // 4) else set())
    return best


def rounded(value: float | None) -> float | None:
    """Shorten a figure to what the page embeds."""
    return value if value is None or not math.isfinite(value) else float(f"{value:.{_DIGITS}g}")


def mebibytes(value: float | None) -> float | None:
    """Return bytes as MiB."""
    return None if value is None else round(value / _MEMORY_UNIT, 1)


def _measures(rows: Sequence[Mapping[str, Any]], splits: Splits) -> Iterator[Column]:
    for label, key, decimals in COLUMNS:
        of = "" if key == _OF_ALL else "trust" if key == "ece" else "classes"
        yield Column(key, label, _TITLES[label].format(*splits), decimals, key != "ece", of)
    for way, key, ratio in _furthest_shifts(rows):
        yield Column(key, f"{way} {ratio}", f"accuracy in percent where the test set is long-tailed at ratio {ratio}, "
                     + ("as in training" if way == "forward" else "the other way round"), 1, True, "trust")


def _costs(rows: Sequence[Mapping[str, Any]]) -> Iterator[Column]:
    if any(row["cost"] for row in rows):
        yield Column("parameters", "parameters", "of backbone and head, in millions", 2, False, "cost")
        if any(row["external"] and (row["cost"] or {}).get("trainable") is not None for row in rows):
            yield Column("trainable", "trained", "parameters that the largest stage trained, in millions", 2, False, "cost")
        yield Column("relative", "inference", "operations of a prediction, over those of a linear classifier on the backbone", 2,
                     False, "cost")
    yield Column("seconds", "seconds", "of a run with all its stages; mean over runs", 1, False, "cost")
    if any(row["peak_memory_bytes"] for row in rows):
        yield Column("memory", "peak MiB", "most memory that a run took, where most was taken", 0, False, "cost")


def _furthest_shifts(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    found = {match for row in rows for name in row["metrics"] if (match := SHIFT.fullmatch(name)) is not None}
    for way in ("forward", "backward"):
        of_way = [(float(match[3]), match[1], match[0], match[3]) for match in found if match[2] == way]
        if of_way:
            _, _, key, ratio = max(of_way)
            yield way, key, ratio
