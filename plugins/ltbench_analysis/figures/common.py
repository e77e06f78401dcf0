"""What figures of several papers are made of: values by class, curves over training, accuracy over a hyperparameter."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

import ltbench
from ltbench_analysis.drawing import Marks, Panel, Series
from ltbench_analysis.geometry import coefficient_of_variation
from ltbench_analysis.runs import Group, Lacking, Run, groups, mean_intervals, terms

SPLITS = ("all", "many", "medium", "few")
INDEX = "class, from the largest to the smallest"


def by_class(title: str, ylabel: str, members: Sequence[Group], values: Callable[[Run], Tensor]) -> Panel:
    """Return a panel of one value a class, the largest class first, averaged over seeds; each group is a line.

    Args:
        values: Of a run, in the order of its labels, shape (C,).
    """
    series = []
    for group in members:
        mean, spread = group.average(lambda run: values(run)[run.order])
        series.append(Series(group.label, [float(i) for i in range(len(mean))], mean, spread))
    return Panel(title, INDEX, ylabel, series)


def variation(group: Group, values: Callable[[Run], Tensor]) -> float:
    """Return the coefficient of variation over classes, averaged over seeds; ``values`` gives those of a run, shape (C,)."""
    return float(group.mean(lambda run: torch.tensor(coefficient_of_variation(values(run)))))


def over_training(title: str, ylabel: str, members: Sequence[Group], curves: Mapping[str, str]) -> Panel:
    """Return a panel of measured curves, averaged over seeds.

    Args:
        members: Each has a line for each curve that it measured.
        curves: Name of a figure in the curve -> what the legend calls it.

    Raises:
        Lacking: If no run has any of them.
    """
    series = []
    for group in members:
        for name, shown in curves.items():
            found = [curve for run in group.runs if (curve := run.curve(name)) is not None and curve[0]]
            if not found:
                continue
            if len({tuple(curve[0]) for curve in found}) > 1:
                raise Lacking(f"curves of {name!r} over the same epochs in all seeds", group.first)
            mean, spread = mean_intervals([values for _, values in found])
            label = ": ".join(part for part in ((group.label if len(members) > 1 else ""), shown) if part)
            series.append(Series(label or group.label, found[0][0], mean, spread))
    if not series:
        raise Lacking(f"a curve of {' or '.join(repr(name) for name in curves)}")
    return Panel(title, "epoch", ylabel, series)


def accuracies(runs: Sequence[Run], split: str = "all") -> tuple[float | None, float | None]:
    """Return the mean accuracy over seeds, in percent, and half of its 95 % interval; None where there is none."""
    values = [value for run in runs if (value := run.accuracy(split)) is not None]
    return ltbench.mean_interval(values) if values else (None, None)


def sweep(runs: Sequence[Run], place: Callable[[Run], Any], splits: Sequence[str], label: str = "") -> list[Series]:
    """Return accuracy over a hyperparameter, one line a split, averaged over seeds.

    Args:
        runs: That differ in this hyperparameter and in their seeds, and in nothing else.
        place: A run's value of it.
        splits: Of ``all``, ``many``, ``medium`` and ``few``; a split without classes is left out.
        label: Before the split's name, in the legend.

    Raises:
        Lacking: If they differ in more, or not at all: the line would join what does not belong together, or nothing.
    """
    for run in runs:
        differing = [name for name, value in terms(run).items() if name != "expression" and value != terms(runs[0])[name]]
        if differing:
            raise Lacking(f"runs of one dataset on equal terms; {differing[0]} differs", run)
    places: dict[float, list[Run]] = {}
    for run in runs:
        places.setdefault(float(place(run)), []).append(run)
    for value, members in places.items():
        if len(found := groups(members)) > 1:
            raise Lacking(f"one setting for each value, but {value:g} has {' and '.join(group.label for group in found)}")
    if len(places) == 1:
        raise Lacking(f"runs at two values or more (all are at {next(iter(places)):g})")
    series = []
    for split in splits:
        values = [(value, *accuracies(places[value], split)) for value in sorted(places)]
        kept = [(value, mean, half) for value, mean, half in values if mean is not None]
        if kept:
            spread = [half for _, _, half in kept if half is not None]
            series.append(Series(f"{label} {split}".strip() if len(splits) > 1 or not label else label,
                                 [value for value, _, _ in kept], [mean for _, mean, _ in kept],
                                 spread if len(spread) == len(kept) else None))
    return series


def families(runs: Sequence[Run], method: str, name: str,
             resolve: Callable[[Run, dict[str, Any]], dict[str, Any]] = lambda run, values: values) -> list[list[Run]]:
    """Return the runs of each setting, in which all but one option of a method and the seeds is equal.

    Args:
        method: Whose option it is.
        name: Of the option.
        resolve: Returns the method's hyperparameters with values in place of what a run's dataset decides.
    """
    found: dict[str, list[Run]] = {}
    for run in runs:
        shared = {key: value for key, value in terms(run).items() if key != "expression"}
        stages = []
        for stage in run.record.stages:
            stages.append([(each.name, each.hyperparameters if each.name != method else
                            {key: value for key, value in resolve(run, each.hyperparameters).items() if key != name})
                           for each in stage.methods])
        found.setdefault(json.dumps([shared, stages], sort_keys=True, default=str), []).append(run)
    return list(found.values())


def at_several(settings: Sequence[Sequence[Run]], place: Callable[[Run], Any]) -> list[Sequence[Run]]:
    """Return the settings whose runs are at two values of a hyperparameter or more; the others are no line.

    Args:
        settings: See :func:`families`.
        place: A run's value of it.

    Raises:
        Lacking: If there is none.
    """
    wide = [members for members in settings if len({place(run) for run in members}) > 1]
    if not settings:
        raise Lacking("runs at two values or more")
    if not wide:
        everything = sorted({place(run) for members in settings for run in members})
        told = ", ".join(f"{value:g}" for value in everything)
        raise Lacking(f"runs at two values or more that differ in nothing else (all are at {told})")
    return wide


def ending_with(runs: Sequence[Run], method: str) -> list[Run]:
    """Return the runs whose last stage uses a method."""
    return [run for run in runs if any(each.name == method for each in run.record.stages[-1].methods)]


def using(runs: Sequence[Run], *methods: str) -> list[Run]:
    """Return the runs that use one of these methods.

    Raises:
        Lacking: If there is none.
    """
    found = [run for run in runs if run.hyperparameters(*methods) is not None]
    if not found:
        raise Lacking(f"a run of {' or '.join(methods)}")
    return found


def option(run: Run, name: str, *methods: str) -> Any:
    """Return a hyperparameter of the one of these methods that a run uses.

    Raises:
        Lacking: If the method does not have it.
    """
    values = run.hyperparameters(*methods) or {}
    if name not in values:
        raise Lacking(f"the hyperparameter {name!r} of {' or '.join(methods)}", run)
    return values[name]


def images_of(classes: Sequence[int], labels: Tensor, limit: int) -> list[Tensor]:
    """Return the positions of each class's images, at most ``limit`` of them, evenly spaced."""
    found = [(labels == k).nonzero()[:, 0] for k in classes]
    return [rows if len(rows) <= limit else rows[torch.linspace(0, len(rows) - 1, limit).round().long()] for rows in found]


def cloud(label: str, places: Tensor, marks: Marks = "points") -> Series:
    """Return points of a map, shape (N, 2), as a series."""
    return Series(label, places[:, 0].tolist(), places[:, 1].tolist(), marks=marks)
