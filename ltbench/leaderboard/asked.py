"""What boards and printed rows ask for: each run with its command and what it takes, from ``leaderboards/runs.csv``.

``python tools/board_runs.py`` plans every run and writes the file, so that a board is made without planning anything. What a
run takes is counted, not timed: images drawn in training, and the operations of their passes through the backbone, a backward
pass as two forward ones. Methods that pass an image several times, or train several experts, take more: these are lower bounds.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from ltbench.errors import UserError
from ltbench.leaderboard.reported import Printed
from ltbench.leaderboard.rows import Table
from ltbench.terms.shots import USUAL, Splits, splits_of

FILE = "runs.csv"
OPTIONAL = ("splits", "external")  # columns that a file has where one run asks for other than the usual


@dataclass(frozen=True)
class Asked:
    """Hold one run that is asked for, with all its seeds.

    Args:
        board: Name of the board whose matrix holds it; empty for the run of a printed row.
        imbalance_ratio: None for a set that is used as it is.
        track: ``common`` or ``paper``.
        protocol: Its name.
        paper: The method on whose paper's terms it is; empty where each brings its own.
        precision: Empty for a printed row, which names none.
        expression: Canonical.
        backbone: Of the first stage.
        noise: Standard deviation of noise on test images.
        seeds: Of one split seed, 0.
        images: Drawn in training, for one seed, all stages together; once for a stage that learns on stored features.
        operations: Of their passes through the backbone, two for each multiplication and addition.
        parameters: Of the backbone.
        command: That makes all seeds.
        splits: Where many, medium and few part.
        external: What comes from elsewhere, as a table's heading says it; empty for nothing. The file has this column and that of
            the splits only where a run asks for other than the usual.
    """

    board: str
    dataset: str
    imbalance_ratio: float | None
    track: str
    protocol: str
    paper: str
    precision: str
    expression: str
    backbone: str
    epochs: int
    noise: float
    seeds: tuple[int, ...]
    images: int
    operations: int
    parameters: int
    command: str
    splits: Splits = USUAL
    external: str = ""

    @property
    def terms(self) -> str:
        """What the run shares with others of its matrix, as text for people."""
        ratio = "" if self.imbalance_ratio is None else f"@{self.imbalance_ratio:g}"
        parts = [f"{self.dataset}{ratio}", f"{self.track} track",
                 *([f"{self.protocol} protocol"] if self.protocol != self.track else []), self.backbone,
                 f"{self.epochs} epoch{'s' if self.epochs != 1 else ''}", *([self.precision] if self.precision else []),
                 *([str(self.splits)] if self.splits != USUAL else []), *([self.external] if self.external else []),
                 *([f"terms of {self.paper}"] if self.paper else [])]
        return ", ".join(parts)

    @property
    def cost(self) -> str:
        """What one seed takes at least, as text for people."""
        return f"{self.images / 1e6:,.1f} M images, {self.operations / 1e15:,.1f} PFLOP"


def read_asked(file: Path) -> list[Asked]:
    """Read what is asked for; nothing where there is no such file, for a board of one's own needs none.

    Raises:
        UserError: If it cannot be read or a line is not as it should be, naming it.
    """
    names = [field.name for field in fields(Asked)]
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            lines = list(reader)
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{str(file)!r} cannot be read: {error}") from None
    if [*(reader.fieldnames or ())] != [name for name in names if name not in OPTIONAL or name in (reader.fieldnames or ())]:
        raise UserError(f"{str(file)!r} must have the columns {', '.join(names)}")
    found = []
    for number, line in enumerate(lines, start=2):
        try:
            found.append(_asked(line))
        except (ValueError, TypeError, AttributeError):  # no number, or fewer cells than columns
            raise UserError(f"line {number} of {str(file)!r} must hold one run that is asked for") from None
    return found


def to_csv_line(run: Asked) -> dict[str, object]:
    """Return a run as the file holds it."""
    line = {field.name: getattr(run, field.name) for field in fields(Asked)}
    line["splits"] = "" if run.splits == USUAL else ",".join(map(str, run.splits))
    ratio = "" if run.imbalance_ratio is None else f"{run.imbalance_ratio:g}"
    return {**line, "imbalance_ratio": ratio, "noise": f"{run.noise:g}", "seeds": " ".join(map(str, run.seeds))}


def seeds_there(run: Asked, tables: Iterable[Table]) -> list[int]:
    """Return the seeds of a board's run that have a completed record among its tables."""
    return [seed for table in tables if _on_terms(run, table) for row in table.rows if row.expression == run.expression
            for record in row.records
            if (seed := record.task.seed) in run.seeds and record.task.split_seed == 0
            and (run.track == "common" or (record.paper or "") == run.paper)]


def run_of_claim(claim: Printed, asked: Iterable[Asked]) -> Asked | None:
    """Return the run that stands for a printed row; None where nobody planned it."""
    wanted = (claim.dataset, claim.imbalance_ratio, claim.expression, claim.paper, claim.backbone, claim.epochs, claim.noise)
    return next((run for run in asked if not run.board and wanted == (
        run.dataset, run.imbalance_ratio, run.expression, run.paper, run.backbone, run.epochs, run.noise)), None)


def _on_terms(run: Asked, table: Table) -> bool:
    return (run.dataset, run.imbalance_ratio, run.track, run.protocol, run.precision, run.splits, run.external) == (
        table.dataset, table.imbalance_ratio, table.track, table.protocol.name, table.precision, table.protocol.bounds,
        table.external or "")


def _asked(line: dict[str, str]) -> Asked:
    ratio = float(line["imbalance_ratio"]) if line["imbalance_ratio"] else None
    seeds = tuple(int(seed) for seed in line["seeds"].split())
    return Asked(line["board"], line["dataset"], ratio, line["track"], line["protocol"], line["paper"], line["precision"],
                 line["expression"], line["backbone"], int(line["epochs"]), float(line["noise"]), seeds, int(line["images"]),
                 int(line["operations"]), int(line["parameters"]), line["command"],
                 splits_of(line["splits"]) if line.get("splits") else USUAL, line.get("external") or "")
