"""Records as figures read them: with their tensors, their curves, and grouped over seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ltbench
from ltbench_analysis.layer import Layer, by_size, read_layer

_BESIDE = (".npz", ".safetensors")


class Lacking(Exception):
    """Report that this run, or no run at all (None), has what a figure needs."""

    def __init__(self, what: str, run: Run | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.run = run


@dataclass(frozen=True, eq=False)
class Run:
    """Hold the record of one completed run, with the path of its file."""

    path: Path
    record: ltbench.Record

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """What it keeps beside its record, by name; nothing where it keeps nothing."""
        return ltbench.read_geometry(self.path) if self.record.geometry else {}

    @property
    def dataset(self) -> str:
        """Its dataset with the ratio, as it is typed."""
        task = self.record.task
        return task.dataset if task.imbalance_ratio is None else f"{task.dataset}@{task.imbalance_ratio:g}"

    @cached_property
    def counts(self) -> Tensor:
        """Training images of each class, shape (C,)."""
        return torch.tensor(self.record.split.class_counts)

    @cached_property
    def order(self) -> Tensor:
        """Classes from the largest to the smallest, shape (C,)."""
        return by_size(self.counts)

    @cached_property
    def stages(self) -> list[int]:
        """The stages that it keeps tensors of, in order."""
        found = {name.partition(".")[0].removeprefix("stage") for name in self.tensors if name.startswith("stage")}
        return sorted(int(number) for number in found)

    def stage(self, number: int) -> dict[str, Tensor]:
        """Return the tensors of a stage, which count from 1, by their names within it."""
        prefix = f"stage{number}."
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}

    def layer(self) -> Layer:
        """Return the last layer of the last stage.

        Raises:
            Lacking: If the run keeps no statistics.
        """
        if not self.stages:
            raise Lacking("class statistics (run without --keep nothing)", self)
        return read_layer(self.stage(self.stages[-1]))

    def weights(self, number: int) -> Tensor | None:
        """Return the weight vectors of a stage's linear classifier, shape (C, d); None where it has not one a class."""
        weight = self.stage(number).get("head.classifier.weight")
        return weight if weight is not None and len(weight) == len(self.counts) else None

    def find(self, name: str) -> Tensor | None:
        """Return the tensor of the latest stage that has one of this name, or None."""
        return next((tensors[name] for tensors in map(self.stage, reversed(self.stages)) if name in tensors), None)

    def features(self, split: str, name: str = "features") -> tuple[Tensor, Tensor]:
        """Return what is kept of every image of a split, shape (N, d), and labels, shape (N,).

        Args:
            split: ``train`` or ``test``.
            name: What is kept.

        Raises:
            Lacking: If the run does not keep it.
        """
        if f"{split}.{name}" not in self.tensors:
            what = "features of every image" if name == "features" else f"{split}.{name} of every image"
            raise Lacking(f"{what} (run with --keep features)", self)
        return self.tensors[f"{split}.{name}"], self.tensors[f"{split}.labels"]

    def curve(self, name: str) -> tuple[list[float], list[float]] | None:
        """Return epochs, whole or not, and values of a measured figure, of the last stage that has it; None where none has."""
        found = [(row.stage, float(row.epoch or 0) + float(row.part or 0), float(value)) for row in self.record.curve
                 if isinstance(value := row.as_dict().get(name), (int, float))]
        rows = [(epoch, value) for stage, epoch, value in found if stage == found[-1][0]]
        return ([epoch for epoch, _ in rows], [value for _, value in rows]) if rows else None

    def measured(self) -> set[str]:
        """Return the names of all figures in its curve."""
        return {name for row in self.record.curve for name in row.as_dict()}

    def hyperparameters(self, *methods: str) -> dict[str, Any] | None:
        """Return those of the last of these methods that the run uses, or None."""
        used = [method for stage in self.record.stages for method in stage.methods if method.name in methods]
        return used[-1].hyperparameters if used else None

    def accuracy(self, split: str = "all") -> float | None:
        """Return the test accuracy over ``all``, ``many``, ``medium`` or ``few`` classes, in percent."""
        assert self.record.metrics is not None  # it completed
        value: float | None = getattr(self.record.metrics.accuracy, split)
        return value


def read_runs(paths: Iterable[Path]) -> list[Run]:
    """Read records; a folder stands for the records in it, and what lies beside a record for nothing.

    Args:
        paths: Of files and folders; a shell's ``runs/*`` names a record's predictions and tensors too.

    Raises:
        UserError: If one cannot be read, or did not complete.
    """
    runs = []
    for path in paths:
        if path.suffix in _BESIDE:
            continue
        files = sorted(file for file in path.glob("*.json") if not file.name.startswith(".")) if path.is_dir() else [path]
        if not files:
            raise ltbench.UserError(f"RECORD must be a record or a folder of records, got {path}")
        for file in files:
            record = ltbench.read_record(file)
            if record.status != "completed":
                raise ltbench.UserError(f"record {file} must be of a completed run, got {record.status}")
            runs.append(Run(file, record))
    return runs


def suitable(runs: Iterable[Run], need: Callable[[Run], object]) -> list[Run]:
    """Return the runs that have what a figure needs: a folder holds others, too.

    Args:
        need: Raises :class:`Lacking` for a run that has it not.

    Raises:
        Lacking: If none has it, as the first one does.
    """
    found, lacks = [], []
    for run in runs:
        try:
            need(run)
        except Lacking as lack:
            lacks.append(lack)
        else:
            found.append(run)
    if lacks and not found:
        raise lacks[0]
    return found


@dataclass(frozen=True, eq=False)
class Group:
    """Hold runs that differ in nothing but their seeds.

    Args:
        label: What sets it apart from the other groups of a figure.
        runs: At least one.
    """

    label: str
    runs: list[Run]

    @property
    def first(self) -> Run:
        """The run of the smallest seed, for what cannot be averaged."""
        return min(self.runs, key=lambda run: (run.record.task.split_seed, run.record.task.seed))

    def mean(self, values: Callable[[Run], Tensor]) -> Tensor:
        """Return the mean over seeds of a tensor that each run has, float64."""
        return torch.stack([values(run).double() for run in self.runs]).mean(dim=0)

    def average(self, values: Callable[[Run], Tensor]) -> tuple[list[float], list[float] | None]:
        """Return the mean over seeds of values of shape (N,), and half of a 95 % interval; None for too few runs."""
        return mean_intervals([values(run).tolist() for run in self.runs])


def mean_intervals(rows: Sequence[Sequence[float]]) -> tuple[list[float], list[float] | None]:
    """Return the mean of every column, and half of its 95 % interval; None for rows too few to have one."""
    found = [ltbench.mean_interval(column) for column in zip(*rows, strict=True)]
    halves = [half for _, half in found if half is not None]
    return [mean for mean, _ in found], halves or None


def members_of(found: Iterable[Group]) -> list[Run]:
    """Return the runs of groups."""
    return [run for group in found for run in group.runs]


def groups(runs: Iterable[Run]) -> list[Group]:
    """Gather runs that differ in their seeds only, in the order in which they were given."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(json.dumps(terms(run), sort_keys=True), []).append(run)
    every = [terms(members[0]) for members in found.values()]
    varying = [name for name in every[0] if len({json.dumps(term[name], sort_keys=True) for term in every}) > 1] if every else []
    shown = [name for name in varying if name not in ("protocol", "expression")]
    return [Group(", ".join([term["expression"], *(str(term[name]) for name in shown)]), members)
            for term, members in zip(every, found.values(), strict=True)]


def terms(run: Run) -> dict[str, Any]:
    """Return all that sets a run apart from others, its seeds aside, by what a label may call it."""
    record = run.record
    protocol = record.protocol.as_dict()
    return {"expression": record.expression, "dataset": run.dataset, "imbalance": record.task.imbalance,
            "backbone": protocol.pop("backbone"), "epochs": f"{protocol.pop('epochs')} epochs",
            "noise": f"noise {protocol.pop('eval_noise', 0.0):g}", "track": f"{record.track} track", "protocol": protocol}
