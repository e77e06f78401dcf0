"""Figures of interpolative centroid contrastive learning (Tiong et al., 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ltbench_analysis.drawing import Drawing, Panel
from ltbench_analysis.embedding import map_points
from ltbench_analysis.figures.common import (
    SPLITS,
    at_several,
    by_class,
    cloud,
    ending_with,
    families,
    images_of,
    option,
    over_training,
    sweep,
    using,
    variation,
)
from ltbench_analysis.geometry import lengths
from ltbench_analysis.runs import Group, Lacking, Run, groups, members_of

_CENTROIDS = "methods.iccl.centroids"
_REBALANCE = "iccl_rebalance"
_CLASS_LIMIT = 200  # points of a class in a map
_CLASSES = 20  # a map of more has no colors left


def norms(runs: Sequence[Run]) -> Drawing:
    """Draw figure 2: lengths of the classifier's weight vectors after each of two stages, and of the running centroids."""
    panels = []
    summary: dict[str, Any] = {}
    members = groups(runs)
    for title, place in (("after representation learning", 0), ("after classifier balancing", -1)):
        having = [group for group in members if all(_weights(run, place) is not None for run in group.runs)]
        if not having:
            raise Lacking("a linear classifier in its first and in its last stage", members[0].first)
        values = partial(_weight_norms, place=place)
        panels.append(by_class(title, "norm of the weight vector", having, values))
        for group in having:
            summary.setdefault(group.label, {})[f"coefficient of variation {title}"] = variation(group, values)
    having = [group for group in members if all(run.find(_CENTROIDS) is not None for run in group.runs)]
    if having:
        panels.append(by_class("running centroids", "norm of the centroid", having, _centroid_norms))
    return Drawing(panels, summary)


def _weights(run: Run, place: int) -> Tensor | None:
    return run.weights(run.stages[place]) if run.stages else None


def _weight_norms(run: Run, place: int) -> Tensor:
    weight = _weights(run, place)
    if weight is None:
        raise Lacking("a linear classifier", run)
    return lengths(weight)


def _centroid_norms(run: Run) -> Tensor:
    centroids = run.find(_CENTROIDS)
    if centroids is None:
        raise Lacking("running centroids", run)
    return lengths(centroids)


def embeddings(runs: Sequence[Run]) -> Drawing:
    """Draw figure 3: projected embeddings of training images with the running centroids, mapped to two dimensions."""
    given = using(runs, "iccl")
    # A run that goes on to a second stage keeps that one's features, which are not projected.
    found = [run for run in given if "train.projection" in run.tensors and run.find(_CENTROIDS) is not None]
    if not found:
        raise Lacking("train.projection of every image (run iccl as the last stage with --keep features)", given[0])
    return Drawing([_map(group) for group in groups(found)], used=found)


def _map(group: Group) -> Panel:
    run = group.first
    points, labels = run.features("train", "projection")
    centroids = run.find(_CENTROIDS)
    assert centroids is not None
    chosen = run.order[:_CLASSES].tolist()
    rows = images_of(chosen, labels, _CLASS_LIMIT)
    mapped = map_points(torch.cat([points[torch.cat(rows)].double(), centroids[chosen].double()]))
    *places, stars = torch.split(mapped, [*map(len, rows), len(chosen)])
    series = [cloud(f"class {k}", part) for k, part in zip(chosen, places, strict=True)]
    return Panel(group.label, "", "", [*series, cloud("centroids", stars, "stars")], bare=True)


def distillation(runs: Sequence[Run]) -> Drawing:
    """Draw figure 4: accuracy over the temperature of distillation, a panel for each setting that is there at two or more."""
    found = ending_with(using(runs, _REBALANCE), _REBALANCE)
    settings = at_several(families(found, _REBALANCE, "distill_temperature"), _temperature)
    panels = []
    for members in settings:
        title = "rebalanced classifier" if len(settings) == 1 else f"rebalanced classifier, {groups(members)[0].label}"
        panels.append(Panel(title, "distillation temperature", "accuracy in %", sweep(members, _temperature, SPLITS)))
    return Drawing(panels, used=[run for members in settings for run in members])


def _temperature(run: Run) -> float:
    return float(option(run, "distill_temperature", _REBALANCE))


def centroids(runs: Sequence[Run]) -> Drawing:
    """Draw the share of class means that find the running centroid of their own class, by split, over training."""
    curves = {f"centroids_{split}": split for split in SPLITS[1:]}
    members = groups(run for run in runs if curves.keys() & run.measured())
    if not members:
        raise Lacking(f"the curves {', '.join(curves)}")
    panels = [over_training(group.label, "classes whose centroid is found, in %", [group], curves) for group in members]
    return Drawing(panels, used=members_of(members))
