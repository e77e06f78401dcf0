"""Figures 3b to 4b of the dynamic label-to-prototype assignment's paper (Saadabadi et al., 2024): when labels move."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

import ltbench
from ltbench_analysis.drawing import Drawing, Panel, Series
from ltbench_analysis.figures import hyperspherical
from ltbench_analysis.figures.common import accuracies, option, over_training, sweep, using
from ltbench_analysis.runs import Lacking, Run, groups

_METHOD = "hyperspherical"
_SIZES = (100, 200, 500, 1000)
_TIMES = 4  # the paper's number of runs for a mean


def interval(runs: Sequence[Run]) -> Drawing:
    """Draw figure 3b: accuracy over the number of assignments an epoch.

    The paper's formula for tau' divides the interval by the steps of an epoch; its text and its axis mean the inverse.
    """
    found = using(runs, _METHOD)
    series = sweep(found, _updates, ("all",), _METHOD)
    return Drawing([Panel("b) assignments", "assignments an epoch", "accuracy in %", series, scale="log")], used=found)


def _updates(run: Run) -> float:
    every = option(run, "reassign_every", _METHOD)
    if not every:
        return 1.0
    protocol = run.record.stages[0].protocol or run.record.protocol.as_dict()
    return int(run.counts.sum()) // int(protocol["batch_size"]) / int(every)


def seconds(runs: Sequence[Run]) -> Drawing:
    """Draw figure 3c: how long one assignment takes, measured here and now; the runs say nothing to it.

    Class means are nearly parallel, as early in training, which is the slow case.
    """
    del runs
    method = ltbench.load_method(_METHOD)
    values = []
    for classes in _SIZES:
        generator = torch.Generator().manual_seed(classes)
        dim = max(2, classes // 2)
        means = F.normalize(torch.ones(classes, dim) + 0.01 * torch.randn(classes, dim, generator=generator), dim=1)
        prototypes = method.estimate(dim, classes)
        started = time.perf_counter()
        for _ in range(_TIMES):
            method.assign(means, prototypes, torch.arange(classes))
        values.append((time.perf_counter() - started) / _TIMES)
    series = [Series("", [float(size) for size in _SIZES], list(values))]
    return Drawing([Panel("c) time of an assignment", "classes", "seconds", series, scale="log")], {"mean over": _TIMES}, [])


def uniformity(runs: Sequence[Run]) -> Drawing:
    """Draw figure 3d: accuracy of the parametric classifier over the weight of the uniformity loss.

    Levels are the same classifier without it, and the dynamic assignment.
    """
    found = using(runs, "psc")
    weighted = [run for run in found if option(run, "uniformity", "psc") > 0]
    series = sweep(weighted, lambda run: option(run, "uniformity", "psc"), ("all",), "psc with uniformity loss")
    if not series:
        raise Lacking("a run of psc with a uniformity weight above 0")
    rival = [run for run in runs if run.hyperparameters(_METHOD) is not None]
    levels = {"psc": [run for run in found if option(run, "uniformity", "psc") == 0], _METHOD: rival}
    for label, members in levels.items():
        settings = groups(members)
        series += [Series(label if len(settings) == 1 else group.label, [], [accuracies(group.runs)[0]], None, "level")
                   for group in settings]
    return Drawing([Panel("d) uniformity loss", "weight of the uniformity loss", "accuracy in %", series, scale="log")],
                   used=[*found, *rival])


def dimensions(runs: Sequence[Run]) -> Drawing:
    """Draw figure 4a: accuracy over the dimension, with labels that move and with labels that stay."""
    found = using(runs, _METHOD)
    series: list[Series] = []
    for dynamic, label in ((True, "dynamic assignment"), (False, "fixed assignment")):
        members = [run for run in found if option(run, "dynamic", _METHOD) == dynamic]
        if not members:
            raise Lacking(f"runs of {_METHOD} with dynamic={str(dynamic).lower()}")
        series += sweep(members, _dimension, ("all",), label)
    return Drawing([Panel("a) dimension", "dimension", "accuracy in %", series, scale="log")], used=found)


def _dimension(run: Run) -> int:
    dim = option(run, "dim", _METHOD)
    return max(2, len(run.counts) // 2) if dim is None else int(dim)  # the method's own default


def churn(runs: Sequence[Run]) -> Drawing:
    """Draw figure 4b: the share of labels that an epoch moved to another prototype."""
    found = using(runs, _METHOD)
    members = groups(found)
    panel = over_training("b) moved labels", "share of labels", members, {"churn": ""})
    summary: dict[str, Any] = {series.label: {"last epoch with a move": _last(series.x, series.y)} for series in panel.series}
    return Drawing([panel], summary, found)


def _last(epochs: Sequence[float | str], shares: Sequence[float | None]) -> float | None:
    moved = [float(epoch) for epoch, share in zip(epochs, shares, strict=True) if share]
    return moved[-1] if moved else None


def figure3(runs: Sequence[Run]) -> Drawing:
    """Draw figure 3 whole: a to d."""
    return _joined([hyperspherical.cosines(runs), interval(runs), seconds(runs), uniformity(runs)])


def figure4(runs: Sequence[Run]) -> Drawing:
    """Draw figure 4 whole: a and b; the curves of b are those of the dynamic runs."""
    moving = [run for run in using(runs, _METHOD) if option(run, "dynamic", _METHOD)]
    return _joined([dimensions(runs), churn(moving)])


def _joined(parts: Sequence[Drawing]) -> Drawing:
    panels = [panel for part in parts for panel in part.panels]
    summary: dict[str, Any] = {}
    for part in parts:
        for name, value in part.summary.items():
            summary[name] = {**summary.get(name, {}), **value} if isinstance(value, dict) else value
    used = {str(run.path): run for part in parts for run in part.used or ()}
    return Drawing(panels, summary, list(used.values()))
