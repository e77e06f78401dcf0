"""Figures 3b to 4b of the dynamic label-to-prototype assignment's paper (Saadabadi et al., 2024): when labels move."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

import ltbench
from ltbench_analysis.drawing import Drawing, Panel, Series
from ltbench_analysis.figures import hyperspherical
from ltbench_analysis.figures.common import accuracies, at_several, ending_with, families, option, over_training, sweep, using
from ltbench_analysis.runs import Lacking, Run, groups, members_of, terms

_METHOD = "hyperspherical"
_RIVAL = "psc"
_SIZES = (100, 200, 500, 1000, 2000, 5000, 10_000)  # up to the scale that section 4.4.3 speaks of
_TIMES = 4  # the paper's number of runs for a mean
_LONG = 5000  # classes from which one run has to do
_DIM = 128  # at most: the product of means and prototypes would take longest in thousands of dimensions


def interval(runs: Sequence[Run]) -> Drawing:
    """Draw figure 3b: accuracy over the number of assignments an epoch.

    The paper's formula for tau' divides the interval by the steps of an epoch; its text and its axis mean the inverse. Runs that
    differ in something else are lines of their own; a setting with one interval only is left out.
    """
    lines = [_one_at_a_place(members) for members in _families(using(runs, _METHOD), "reassign_every")]
    found, series = _lines(lines, _updates, _METHOD)
    return Drawing([Panel("b) assignments", "assignments an epoch", "accuracy in %", series, scale="log")], used=found)


def _families(runs: Sequence[Run], name: str) -> list[list[Run]]:
    def resolve(run: Run, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "dim": _dimension(run)} if "dim" in values else values  # one that is left out is the default

    return families(runs, _METHOD, name, resolve)


def _one_at_a_place(members: Sequence[Run]) -> list[Run]:
    """Return the runs less those that say "once an epoch" where others say it in steps."""
    in_steps = {_updates(run) for run in members if option(run, "reassign_every", _METHOD)}
    return [run for run in members if option(run, "reassign_every", _METHOD) or 1.0 not in in_steps]


def _lines(settings: Sequence[Sequence[Run]], place: Callable[[Run], float], label: str) -> tuple[list[Run], list[Series]]:
    """Return the runs of the settings that are there at two values or more, and a line for each."""
    wide = at_several(settings, place)
    series: list[Series] = []
    for members in wide:
        shown = label if len(wide) == 1 else f"{label}, {groups(members)[0].label}"
        series += sweep(members, place, ("all",), shown)
    return [run for members in wide for run in members], series


def _updates(run: Run) -> float:
    every = option(run, "reassign_every", _METHOD)
    if not every:
        return 1.0
    protocol = run.record.stages[0].protocol or run.record.protocol.as_dict()
    return int(run.counts.sum()) // int(protocol["batch_size"]) / int(every)


def seconds(runs: Sequence[Run]) -> Drawing:
    """Draw figure 3c: how long one assignment takes, measured here and now; the runs say nothing to it.

    Class means are nearly parallel, as early in training, which is the slow case. Prototypes are random directions, which keep a
    solver as busy as even ones and are there at once.
    """
    del runs
    method = ltbench.load_method(_METHOD)
    values = []
    for classes in _SIZES:
        generator = torch.Generator().manual_seed(classes)
        dim = min(_DIM, max(2, classes // 2))
        means = F.normalize(torch.ones(classes, dim) + 0.01 * torch.randn(classes, dim, generator=generator), dim=1)
        prototypes = F.normalize(torch.randn(classes, dim, generator=generator), dim=1)
        times = _TIMES if classes < _LONG else 1
        started = time.perf_counter()
        for _ in range(times):
            method.assign(means, prototypes, torch.arange(classes))
        values.append((time.perf_counter() - started) / times)
    series = [Series("", [float(size) for size in _SIZES], list(values))]
    summary = {"mean over": f"{_TIMES}; from {_LONG} classes one run"}
    return Drawing([Panel("c) time of an assignment", "classes", "seconds", series, scale="log")], summary, [])


def uniformity(runs: Sequence[Run]) -> Drawing:
    """Draw figure 3d: accuracy of the parametric classifier over the weight of the uniformity loss.

    Runs that differ in something else are lines of their own; a setting with one weight only is left out. Levels are the same
    classifier without the loss, and the dynamic assignment once an epoch: in as many dimensions where such a run is given, else
    in half as many as there are classes, else all.
    """
    settings = families(ending_with(using(runs, _RIVAL), _RIVAL), _RIVAL, "uniformity")
    weighted = [kept for members in settings if (kept := [run for run in members if _weight(run) > 0])]
    if not weighted:
        raise Lacking(f"a run of {_RIVAL} with a uniformity weight above 0")
    found, series = _lines(weighted, _weight, f"{_RIVAL} with uniformity loss")
    without = [run for members in settings if any(run in found for run in members) for run in members if _weight(run) == 0]
    plain, assigned = groups(without), groups(_assigned(runs, found))
    levels = [(_RIVAL if len(plain) == 1 else group.label, group) for group in plain]
    levels += [(f"{_METHOD}, d = {_dimension(group.first)}" if len(assigned) == 1 else group.label, group) for group in assigned]
    series += [Series(label, [], [accuracies(group.runs)[0]], None, "level") for label, group in levels]
    return Drawing([Panel("d) uniformity loss", "weight of the uniformity loss", "accuracy in %", series, scale="log")],
                   used=[*found, *without, *members_of(assigned)])


def _weight(run: Run) -> float:
    return float(option(run, "uniformity", _RIVAL))


def _assigned(runs: Sequence[Run], beside: Sequence[Run]) -> list[Run]:
    """Return the runs of the dynamic assignment that stand on the terms of others and come closest to these in dimension."""
    dims = {(run.hyperparameters(_RIVAL) or {}).get("dim") for run in beside}
    grounds = [_ground(run) for run in beside]
    own = [run for run in ending_with(runs, _METHOD) if _ground(run) in grounds]
    usual = [run for run in own if not option(run, "reassign_every", _METHOD) and _moving(run)] or own
    for wanted in ([run for run in usual if _dimension(run) in dims],
                   [run for run in usual if _dimension(run) == max(2, len(run.counts) // 2)]):
        if wanted:
            return wanted
    return usual


def _ground(run: Run) -> dict[str, Any]:
    return {name: value for name, value in terms(run).items() if name != "expression"}


def _moving(run: Run) -> bool:
    return bool((run.hyperparameters(_METHOD) or {}).get("dynamic", True))


def dimensions(runs: Sequence[Run]) -> Drawing:
    """Draw figure 4a: accuracy over the dimension, with labels that move once an epoch and with labels that stay.

    Runs that differ in something else are lines of their own; a setting with one dimension only is left out.
    """
    every = using(runs, _METHOD)
    found = [run for run in every if not (run.hyperparameters(_METHOD) or {}).get("reassign_every")]
    used: list[Run] = []
    series: list[Series] = []
    for dynamic, label in ((True, "dynamic assignment"), (False, "fixed assignment")):
        members = [run for run in found if option(run, "dynamic", _METHOD) == dynamic]
        if not members:
            raise Lacking(f"runs of {_METHOD} with dynamic={str(dynamic).lower()}")
        chosen, lines = _lines(_families(members, "dim"), _dimension, label)
        used += chosen
        series += lines
    return Drawing([Panel("a) dimension", "dimension", "accuracy in %", series, scale="log")], used=used)


def _dimension(run: Run) -> int:
    dim = (run.hyperparameters(_METHOD) or {}).get("dim")
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
