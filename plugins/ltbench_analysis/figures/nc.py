"""Figures of the neural-collapse regularizers' paper (Liu et al., 2023)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ltbench_analysis.drawing import Drawing, Panel
from ltbench_analysis.figures.common import INDEX, by_class, variation
from ltbench_analysis.geometry import angles, centered, lengths, pair_cosines
from ltbench_analysis.runs import Lacking, Run, groups, suitable

_MOST = 1000  # classes: a map of more angles than a screen has pixels shows nothing, and its data would fill gigabytes


def pairwise_angles(runs: Sequence[Run]) -> Drawing:
    """Draw figure 2: the angle of every pair of centered class means, in degrees.

    The summary has the smallest and the mean one, averaged over seeds, beside that of a simplex.
    """
    panels = []
    summary: dict[str, Any] = {}
    found = suitable(runs, _few_means)
    for group in groups(found):
        classes = len(group.first.counts)
        grid = group.mean(lambda run: angles(_means(run)[run.order]))  # (C, C)
        grid.fill_diagonal_(torch.nan)  # a class is no pair with itself
        panels.append(Panel(group.label, INDEX, INDEX, grid=grid.tolist()))
        pairs = [pair_cosines(_means(run)) for run in group.runs]
        summary[group.label] = {"smallest angle": sum(pair.smallest_angle for pair in pairs) / len(pairs),
                                "mean angle": sum(pair.mean_angle for pair in pairs) / len(pairs),
                                "angle of a simplex": math.degrees(math.acos(-1 / (classes - 1)))}
    return Drawing(panels, summary, found)


def mean_norms(runs: Sequence[Run]) -> Drawing:
    """Draw figure 3: the length of centered class means by class."""
    found = suitable(runs, _means)
    members = groups(found)
    panel = by_class("centered class means", "norm", members, _lengths)
    summary: dict[str, Any] = {}
    for group in members:
        summary[group.label] = {"coefficient of variation": variation(group, _lengths)}
    return Drawing([panel], summary, found)


def _few_means(run: Run) -> Tensor:
    if not 2 <= len(run.counts) <= _MOST:
        raise Lacking(f"2 to {_MOST} classes", run)
    return _means(run)


def _means(run: Run) -> Tensor:
    layer = run.layer()
    if len(layer.classes) < len(run.counts):
        raise Lacking("training images of every class", run)
    return centered(layer.means)


def _lengths(run: Run) -> Tensor:
    return lengths(_means(run))
