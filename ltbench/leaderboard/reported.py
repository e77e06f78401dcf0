"""What papers print of a row, beside what was measured, and whether one confirms the other.

``leaderboards/reported.csv`` holds printed accuracies with their source. For the figures that a paper ran itself it also says
which run of ltbench stands for them: the columns ``expression`` and ``run_*``, which a test holds equal to the commands of
``plugins/README.md``. Only these are claims; figures that a paper quotes from others are not tested.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ltbench.errors import UserError
from ltbench.leaderboard.rows import Row, Table
from ltbench.results.accuracy import SPLITS
from ltbench.results.interval import FEWEST_SEEDS, Estimate
from ltbench.terms.protocol import PAPER
from ltbench.terms.shots import USUAL

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"
NOT_COMPARABLE, DIVERGED = "not comparable", "diverged"

_OWN = "this paper"
_COLUMNS = ("source", "table", "dataset", "imbalance_ratio", "backbone", "setting", "method", "split", "accuracy", "run_by",
            "expression", "run_paper", "run_ratio", "run_backbone", "run_epochs", "run_noise")
_OPTIONS = re.compile(r"\([^()]*\)")
_OPTION_WEIGHT = 3
_WORDS = re.compile(r"[^()+/,]+")


@dataclass(frozen=True)
class Printed:
    """Hold one row of a paper's table that the paper ran itself.

    Args:
        table: Its number there.
        method: The paper's name for the row.
        setting: What the paper says of it.
        imbalance_ratio: None for a set that is used as it is.
        expression: Canonical, of the run that stands for it.
        paper: The method on whose paper's terms that run is; empty where each brings its own.
        backbone: Of that run.
        accuracy: Percent, by split.
    """

    source: str
    table: str
    method: str
    setting: str
    dataset: str
    imbalance_ratio: float | None
    expression: str
    paper: str
    backbone: str
    epochs: int
    noise: float
    accuracy: Mapping[str, float]


@dataclass(frozen=True)
class PrintedRow:
    """Hold one row of a paper's table, whoever ran it.

    Args:
        imbalance_ratio: As printed; empty for a set that is used as it is.
        backbone: As printed.
        run_by: ``this paper``, ``quoted`` or ``unclear``.
        accuracy: Percent, by split.
        claim: The row with the run that stands for it, where the paper ran it itself.
    """

    source: str
    table: str
    method: str
    setting: str
    dataset: str
    imbalance_ratio: str
    backbone: str
    run_by: str
    accuracy: Mapping[str, float]
    claim: Printed | None


@dataclass(frozen=True)
class Reproduction:
    """Hold a printed row beside a measured one.

    Args:
        verdict: Of the row, which is that on its figure over all classes: one of the constants of this module.
        reason: Settings that differ, or what is missing for a verdict; empty where nothing is.
        differences: Measured minus printed, in points, by split; of the splits that both have.
        verdicts: By split, on every printed figure of the row by the same rule; empty on other terms.
    """

    printed: Printed
    verdict: str
    reason: str
    differences: Mapping[str, float]
    verdicts: Mapping[str, str]


def read_reported(file: Path) -> list[Printed]:
    """Read the printed rows that papers ran themselves, see :func:`read_rows`."""
    return [row.claim for row in read_rows(file) if row.claim is not None]


def read_rows(file: Path) -> list[PrintedRow]:
    """Read all printed rows, in the order of the file.

    Raises:
        UserError: If it cannot be read or a line is not as it should be, naming it.
    """
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            lines = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{str(file)!r} cannot be read: {error}") from None
    accuracy: dict[tuple[str, ...], dict[str, float]] = {}
    for number, line in enumerate(lines, start=2):
        where = f"line {number} of {str(file)!r}"
        if set(line) != set(_COLUMNS) or None in line.values():
            raise UserError(f"{where} must have the columns {', '.join(_COLUMNS)}")
        identity = tuple(line[name] for name in _COLUMNS if name not in ("split", "accuracy"))
        figure = _number(line["accuracy"], f"accuracy in {where}")
        if not 0 <= figure <= 100 or line["split"] in accuracy.setdefault(identity, {}):
            raise UserError(f"{where} must hold one accuracy from 0 to 100 for each split, got {line['accuracy']!r}")
        accuracy[identity][line["split"]] = figure
    return [_row(identity, figures, file) for identity, figures in accuracy.items()]


def reproductions(table: Table, row: Row, printed: Iterable[Printed], tolerance: float) -> list[Reproduction]:
    """Return what papers print of a row, with a verdict each, in the order of the printed rows.

    A row stands for a printed one if dataset, ratio and expression agree. On other terms, rows whose last stage has the same
    methods are candidates, and of each paper's those that differ least are shown: what differs is listed, nothing is concluded.

    Args:
        tolerance: In points, see :class:`ltbench.leaderboard.board.Board`.
    """
    found: list[tuple[int, Reproduction]] = []
    for claim in printed:
        if (claim.dataset, claim.imbalance_ratio) != (table.dataset, table.imbalance_ratio):
            continue
        if _last_methods(claim.expression) == _last_methods(row.expression):
            settings = differing(table, row, claim)
            found.append((_distance(row, claim, settings), _compare(row, claim, settings, tolerance)))
    nearest: dict[str, int] = {}
    for distance, one in found:
        nearest[one.printed.source] = min(distance, nearest.get(one.printed.source, distance))
    return [one for distance, one in found if distance == nearest[one.printed.source]]


def _compare(row: Row, claim: Printed, settings: Sequence[str], tolerance: float) -> Reproduction:
    means = {split: row.figure(f"accuracy.{split}").mean for split in SPLITS}
    differences = {split: mean - claim.accuracy[split] for split, mean in means.items()
                   if mean is not None and split in claim.accuracy}
    if settings:
        return Reproduction(claim, NOT_COMPARABLE, "; ".join(settings), differences, {})
    if row.diverged:
        return Reproduction(claim, DIVERGED, f"{row.diverged} of {row.diverged + row.failed + len(row.completed)} runs",
                          differences, dict.fromkeys(claim.accuracy, DIVERGED))
    judged = {split: _verdict(row.figure(f"accuracy.{split}"), claim.accuracy.get(split), tolerance) for split in SPLITS}
    verdicts = {split: judged[split][0] for split in SPLITS if split in claim.accuracy}
    return Reproduction(claim, *judged["all"], differences, verdicts)


def _verdict(ours: Estimate, printed: float | None, tolerance: float) -> tuple[str, str]:
    if printed is None or ours.mean is None:
        return INCONCLUSIVE, "no figure"
    if ours.runs < FEWEST_SEEDS or ours.half_width is None:
        return INCONCLUSIVE, f"{ours.runs} seed{'s' if ours.runs != 1 else ''}, {FEWEST_SEEDS} are needed"
    off = abs(ours.mean - printed)
    if off > tolerance + ours.half_width:
        return NOT_REPRODUCED, ""  # all of the interval lies outside the tolerance, however wide it is
    if ours.half_width > tolerance:
        return INCONCLUSIVE, f"the interval's half width is above {tolerance:g} points"
    return (REPRODUCED if off <= tolerance else NOT_REPRODUCED), ""


def differing(table: Table, row: Row, claim: Printed) -> list[str]:
    """Return the settings of a measured row that are not those of a printed one, as text; both are of one dataset and ratio."""
    record = row.records[0] if row.completed else None
    protocol = table.protocol
    pairs: list[tuple[str, Any, Any]] = [
        ("expression", row.expression, claim.expression),
        ("backbone", protocol.backbone, claim.backbone),
        ("epochs", protocol.epochs, claim.epochs),
        ("test noise", float(protocol.as_dict().get("eval_noise", 0.0)), claim.noise),
        ("classes", str(protocol.bounds), str(USUAL)),
        ("images held out", bool(protocol.as_dict().get("hold_out")), False),
    ]
    if table.track == PAPER and record is not None:
        pairs.append(("terms of", record.paper or "", claim.paper))
    different = [f"{name} {ours} instead of {theirs}" for name, ours, theirs in pairs if ours != theirs]
    different += ["one of two codes of its methods"] if row.other_code else []  # which of them is meant nobody says
    different += [row.tested] if row.tested else []
    return different if table.track == PAPER else [f"{table.track} track", *different]


def _distance(row: Row, claim: Printed, settings: Sequence[str]) -> int:
    """Count the settings that differ, those within the expression one by one; an option is what an ablation is about."""
    ours, theirs = (Counter(_WORDS.findall(text)) for text in (row.expression, claim.expression))
    return len(settings) + sum(_OPTION_WEIGHT if "=" in word else 1 for word in ((ours - theirs) + (theirs - ours)).elements())


def bare(expression: str) -> str:
    """Return an expression without options."""
    while _OPTIONS.search(expression):  # a value may hold parentheses
        expression = _OPTIONS.sub("", expression)
    return expression


def _last_methods(expression: str) -> str:
    """Return the names of the last stage's methods, without their options."""
    return bare(expression).rpartition("/")[2]


def _row(identity: tuple[str, ...], figures: dict[str, float], file: Path) -> PrintedRow:
    source, table, dataset, ratio, backbone, setting, method, run_by, *run = identity
    row = PrintedRow(source, table, method, setting, dataset, ratio, backbone, run_by, figures, None)
    return replace(row, claim=_claim(row, run, file)) if run_by == _OWN else row


def _claim(row: PrintedRow, run: Sequence[str], file: Path) -> Printed:
    expression, paper, ratio, backbone, epochs, noise = run
    where = f"a line of {row.source} {row.table} {row.method!r} in {str(file)!r}"
    if not (expression and backbone and epochs.isdecimal()):
        raise UserError(f"{where} must say which run stands for it, got expression {expression!r}, epochs {epochs!r}")
    chosen = _number(ratio, f"run_ratio of {where}") if ratio else None
    return Printed(row.source, row.table, row.method, row.setting, row.dataset, chosen, expression, paper, backbone, int(epochs),
                   _number(noise, f"run_noise of {where}"), row.accuracy)


def _number(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{what} must be a number, got {text!r}") from None
