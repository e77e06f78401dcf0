"""Records as figures read them: with their tensors, their curves, and grouped over seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats
from torch import Tensor

import ltbench
from ltbench_analysis.layer import Layer, by_size, read_layer


class Lacking(Exception):
    """Report that no run, or this run, has what a figure needs.

    Args:
        what: The thing.
        run: That lacks it; None for all of them.
    """

    def __init__(self, what: str, run: Run | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.run = run


@dataclass(frozen=True, eq=False)
class Run:
    """Hold one completed run.

    Args:
        path: Of its record.
        record: As read.
    """

    path: Path
    record: ltbench.Record

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """What it keeps beside its record, by name; nothing where it keeps nothing."""
        return ltbench.read_geometry(self.path) if self.record.get("geometry") else {}

    @property
    def dataset(self) -> str:
        """Its dataset with the ratio, as it is typed."""
        task = self.record["task"]
        return task["dataset"] if task["imbalance_ratio"] is None else f"{task['dataset']}@{task['imbalance_ratio']:g}"

    @property
    def expression(self) -> str:
        """Canonical."""
        return str(self.record["expression"])

    @cached_property
    def counts(self) -> Tensor:
        """Training images of each class, shape (C,)."""
        return torch.tensor(self.record["split"]["class_counts"])

    @cached_property
    def order(self) -> Tensor:
        """Classes from the largest to the smallest, shape (C,)."""
        return by_size(self.counts)

    @property
    def stages(self) -> list[int]:
        """The stages that it keeps tensors of, in order."""
        found = {name.partition(".")[0].removeprefix("stage") for name in self.tensors if name.startswith("stage")}
        return sorted(int(number) for number in found)

    def stage(self, number: int) -> dict[str, Tensor]:
        """Return the tensors of a stage by their names within it.

        Args:
            number: From 1.
        """
        prefix = f"stage{number}."
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}

    def layer(self, number: int | None = None) -> Layer:
        """Return a stage's last layer.

        Args:
            number: From 1; None for the last stage.

        Raises:
            Lacking: If the run keeps no such statistics.
        """
        if not self.stages:
            raise Lacking("class statistics (run without --keep nothing)", self)
        return read_layer(self.stage(self.stages[-1] if number is None else number))

    def find(self, *names: str) -> Tensor | None:
        """Return the tensor of the latest stage that has one of these names, or None.

        Args:
            names: Within a stage, in order of preference.
        """
        for number in reversed(self.stages):
            tensors = self.stage(number)
            for name in names:
                if name in tensors:
                    return tensors[name]
        return None

    def features(self, split: str, name: str = "features") -> tuple[Tensor, Tensor]:
        """Return what is kept of every image of a split, shape (N, d), and labels, shape (N,).

        Args:
            split: ``train`` or ``test``.
            name: Of the tensor.

        Raises:
            Lacking: If the run keeps no such.
        """
        if f"{split}.{name}" not in self.tensors:
            what = "features of every image" if name == "features" else f"{split}.{name} of every image"
            raise Lacking(f"{what} (run with --keep features)", self)
        return self.tensors[f"{split}.{name}"], self.tensors[f"{split}.labels"]

    def curve(self, name: str) -> tuple[list[float], list[float]] | None:
        """Return epochs and values of a measured figure, of the last stage that has it; None where none has.

        Args:
            name: Of the figure.
        """
        rows = [row for row in self.record["curve"] if isinstance(row.get(name), (int, float))]
        rows = [row for row in rows if row["stage"] == rows[-1]["stage"]]
        return ([float(row["epoch"]) for row in rows], [float(row[name]) for row in rows]) if rows else None

    def measured(self) -> list[str]:
        """Return the names of all figures in its curve, sorted."""
        return sorted({name for row in self.record["curve"] for name in row})

    def hyperparameters(self, *names: str) -> dict[str, Any] | None:
        """Return those of the last of these methods that the run uses, or None.

        Args:
            names: Of methods.
        """
        used = [method for stage in self.record["stages"] for method in stage["methods"] if method["name"] in names]
        return dict(used[-1]["hyperparameters"]) if used else None

    def accuracy(self, split: str = "all") -> float | None:
        """Return the test accuracy in percent.

        Args:
            split: ``all``, ``many``, ``medium`` or ``few``.
        """
        value = self.record["metrics"]["accuracy"][split]
        return None if value is None else float(value)


_BESIDE = (".npz", ".safetensors")


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
            if record["status"] != "completed":
                raise ltbench.UserError(f"record {file} must be of a completed run, got {record['status']}")
            runs.append(Run(file, record))
    return runs


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
        return min(self.runs, key=lambda run: (run.record["task"]["split_seed"], run.record["task"]["seed"]))

    def average(self, values: Callable[[Run], Tensor]) -> tuple[list[float], list[float] | None]:
        """Return the mean over seeds, and half of a 95 % interval; None for one run.

        Args:
            values: Of one run, shape (N,).
        """
        return mean_and_interval([values(run).double().numpy() for run in self.runs])


def mean_and_interval(rows: Sequence[npt.NDArray[np.float64]]) -> tuple[list[float], list[float] | None]:
    """Return means over rows, and half of their 95 % intervals by Student's t; None for one row.

    Args:
        rows: Each of shape (N,).
    """
    table = np.stack(rows)
    if len(table) < 2:
        return table[0].tolist(), None
    half = stats.t.ppf(0.975, len(table) - 1) * table.std(axis=0, ddof=1) / np.sqrt(len(table))
    return table.mean(axis=0).tolist(), half.tolist()


def members_of(found: Iterable[Group]) -> list[Run]:
    """Return the runs of groups.

    Args:
        found: Groups.
    """
    return [run for group in found for run in group.runs]


def groups(runs: Iterable[Run]) -> list[Group]:
    """Gather runs that differ in their seeds only, in the order in which they were given.

    Args:
        runs: Of any kind.
    """
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(json.dumps(terms(run), sort_keys=True), []).append(run)
    every = [terms(members[0]) for members in found.values()]
    varying = [name for name in every[0] if len({json.dumps(term[name], sort_keys=True) for term in every}) > 1] if every else []
    shown = [name for name in varying if name not in ("protocol", "expression")]
    return [Group(", ".join([term["expression"], *(str(term[name]) for name in shown)]), members)
            for term, members in zip(every, found.values(), strict=True)]


def terms(run: Run) -> dict[str, Any]:
    """Return all that sets a run apart from others, its seeds aside, by what a label may call it.

    Args:
        run: Any.
    """
    record = run.record
    protocol = dict(record["protocol"])
    return {"expression": run.expression, "dataset": run.dataset, "imbalance": record["task"]["imbalance"],
            "backbone": protocol.pop("backbone"), "epochs": f"{protocol.pop('epochs')} epochs",
            "noise": f"noise {protocol.pop('eval_noise', 0.0):g}", "track": f"{record['track']} track", "protocol": protocol}
