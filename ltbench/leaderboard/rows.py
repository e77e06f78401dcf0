"""A table, its rows and their runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ltbench.leaderboard.tuned import too_many
from ltbench.results.interval import FEWEST_SEEDS, Estimate
from ltbench.results.records import Stored
from ltbench.results.schema import Record, RecordedProtocol
from ltbench.results.tested import tell_of
from ltbench.terms.protocol import CUSTOM

SMOKE = "smoke"
Run: TypeAlias = tuple[int, int]  # split seed and seed: what two methods must share for a difference to be paired


def run_of(record: Record) -> Run:
    """Return a record's split seed and seed."""
    return record.task.split_seed, record.task.seed


def is_given(record: Record) -> bool:
    """Tell whether the first stage of a run came from elsewhere and stayed as it was."""
    return record.external is not None and not (record.pretraining and record.pretraining.tune)


def trained_stages(record: Record) -> int:
    """Return how many stages a run trained: a first one that is given is none of them."""
    return sum(stage.inputs != "none" for stage in record.stages[is_given(record):])


def name_runs(runs: Iterable[Run]) -> str:
    """Name runs for a person."""
    seeds: dict[int, list[str]] = {}
    for split_seed, seed in runs:
        seeds.setdefault(split_seed, []).append(str(seed))
    return "; ".join(f"seed{'s' if len(of) > 1 else ''} {', '.join(of)} of split seed {split}" for split, of in seeds.items())


def few_seeds(runs: int) -> str:
    """Say how many seeds there are where there are too few for an interval."""
    return ("no seed", "one seed", "two seeds")[runs]


@dataclass(frozen=True)
class Row:
    """Hold one stack of methods within a table.

    Args:
        typed: The expression in the order in which it was typed for the first run; empty where that is the canonical one.
        mark: A part of a hash where another row has the same expression, and other options or other code; empty elsewhere.
        overrides: What methods declared to change of the protocol, by setting.
        external: Where the first stage came from, if not from ltbench.
        completed: Records with their files, in the order of their seeds.
        figures: Mean over the completed runs of each metric by its dotted name, for example ``accuracy.few``.
        seconds: Mean of a run's total.
        tuned: Hyperparameters that trials chose, by ``method.name``.
        other_code: Files of its methods that were other ones in the runs of a row which shares all the rest.
    """

    expression: str
    mark: str
    overrides: dict[str, Any]
    external: str | None
    completed: tuple[Stored, ...]
    diverged: int
    failed: int
    figures: dict[str, Estimate]
    seconds: Estimate
    tuned: tuple[str, ...] = ()
    typed: str = ""
    other_code: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """What tables call the row."""
        name = self.typed or self.expression
        return f"{name} #{self.mark}" if self.mark else name

    @property
    def records(self) -> tuple[Record, ...]:
        """The completed records without their files."""
        return tuple(item.record for item in self.completed)

    @property
    def runs(self) -> dict[Run, Stored]:
        """The completed records by their seeds."""
        return {run_of(item.record): item for item in self.completed}

    @property
    def trainable(self) -> int | None:
        """How many parameters the stage trained that trained the most; None where no record says so."""
        return next((record.cost.trainable for record in self.records if record.cost), None)

    @property
    def trained_stages(self) -> int:
        """How many stages were trained: a first one that is given is not."""
        return trained_stages(self.records[0]) if self.completed else 0

    @property
    def tuning_trials(self) -> int:
        """How many trials chose the row's hyperparameters."""
        return max((record.tuning_trials for record in self.records), default=0)

    @property
    def tested(self) -> str | None:
        """Over how many classes its figures are, where some have no test image; None where all have."""
        return tell_of(self.records)

    @property
    def code(self) -> str:
        """What to say of the code that ran: that another row had other files, or that versions of ltbench differ; or nothing."""
        more = f" and {len(self.other_code) - 3} more" if len(self.other_code) > 3 else ""
        said = [f"another row ran other code: {', '.join(self.other_code[:3])}{more}"] if self.other_code else []
        versions = sorted({record.core.version for record in self.records})
        return "; ".join([*said, *([f"runs of ltbench {' and '.join(versions)}"] if len(versions) > 1 else [])])

    @property
    def whole(self) -> bool:
        """Whether every run completed; a mean over the runs that happened to survive is not ranked."""
        return not (self.diverged or self.failed)

    @property
    def ranked(self) -> bool:
        """Whether the row may have a rank in a table that has any."""
        return self.whole and not too_many(self.tuned)

    def figure(self, name: str) -> Estimate:
        """Return a metric's estimate, which is empty where no run has it."""
        return self.figures.get(name, Estimate(None, None, 0))


@dataclass(frozen=True)
class Table:
    """Hold rows that had equal terms, best first and those with a broken run last.

    Args:
        imbalance_ratio: None where the data is used as it is.
        imbalance: Its form.
        track: ``common`` or ``paper``.
        selection: ``last``, ``val`` or, from outside reports, ``test``.
        external: What came from elsewhere: ``external first stages``, or ``external pre-training`` of frozen backbones or, with
            what of them was tuned behind it, of others; None where all was trained on the task alone.
        splits: Split seed and hash of each subset that the runs cover.
        train_images: Of one subset.
        tuning: How many trials each row had, and on what; None where nothing was tuned.
        remark: What a reader of the dataset's figures must know; empty where that is nothing.
        weights: Hash of the pre-trained weights, and how they take images; None where there are none.
    """

    dataset: str
    imbalance_ratio: float | None
    imbalance: str | None
    track: str
    selection: str
    precision: str
    external: str | None
    protocol: RecordedProtocol
    splits: tuple[tuple[int, str], ...]
    train_images: int
    rows: tuple[Row, ...]
    tuning: dict[str, Any] | None = None
    remark: str = ""
    weights: dict[str, Any] | None = None

    @property
    def unranked(self) -> str | None:
        """Why the rows have no ranks; None if they have."""
        if self.protocol.name in (CUSTOM, SMOKE):
            return f"{self.protocol.name} protocol"
        return self.external

    @property
    def common_runs(self) -> tuple[Run, ...]:
        """The runs that rows are compared over: those that most rows completed, three at least; none where there are no such.

        Of equally frequent sets it is the larger, then the one of lower seeds.
        """
        held = Counter(tuple(row.runs) for row in self.rows if row.whole and len(row.runs) >= FEWEST_SEEDS)
        return min(held, key=lambda runs: (-held[runs], -len(runs), runs), default=())

    def left_out(self) -> list[str | None]:
        """Return why each row is not compared with the others; None for a row that is."""
        runs = self.common_runs
        return [self.unranked or _left_out(row, runs) for row in self.rows]

    def ranks(self) -> list[int | None]:
        """Return each row's rank; equal means share one, and a row with a broken run or too much tuned has none."""
        best = [None if self.unranked or not row.ranked else row.figure("accuracy.all").mean for row in self.rows]
        return [None if a is None else 1 + sum(b is not None and b > a for b in best) for a in best]


def among_compared(ranks: Sequence[int | None], compared: Sequence[bool]) -> list[int | None]:
    """Return ranks as a reader sees them: among the rows that were compared, as the ranks that the data allow are among these.

    Where fewer than two were compared, they are those of the means alone.

    Args:
        ranks: See :meth:`Table.ranks`.
        compared: Of each row.
    """
    shown = [rank if one else None for rank, one in zip(ranks, compared, strict=True)]
    known = [rank for rank in shown if rank is not None]
    return [None if rank is None else 1 + sum(other < rank for other in known) for rank in shown] if len(known) > 1 else [*ranks]


def _left_out(row: Row, runs: Sequence[Run]) -> str | None:
    if not row.whole:
        return "a run broke"
    if reason := too_many(row.tuned):
        return reason
    held: Collection[Run] = row.runs
    if len(held) < FEWEST_SEEDS:
        return few_seeds(len(held))
    missing = [run for run in runs if run not in held]
    return f"no run of {name_runs(missing)}" if missing else None
