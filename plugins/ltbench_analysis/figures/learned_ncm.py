"""Figures of the learned nearest-class-mean paper."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from scipy import stats
from torch import Tensor

from ltbench_analysis.drawing import Drawing, Panel, Series
from ltbench_analysis.embedding import map_points
from ltbench_analysis.figures.common import INDEX, SPLITS, by_class, cloud, images_of, option, over_training, sweep, using
from ltbench_analysis.geometry import lengths
from ltbench_analysis.runs import Lacking, Run, groups, members_of, suitable, terms
from ltbench_analysis.variance import ESTIMATORS, Estimator, intra_class_variance

_LEARNED = ("lncm", "lncm_la")
_CLASS_LIMIT = 500  # points of a class in a map: t-SNE of all of a head class takes minutes and shows no more


def neighborhoods(runs: Sequence[Run]) -> Drawing:
    """Draw figure 1: two large classes and a small one, mapped to two dimensions."""
    panels = []
    found = suitable(runs, _neighbors)
    for group in groups(found):
        run = group.first
        chosen, rows = _neighbors(run)
        features, _ = run.features("train")
        places = torch.split(map_points(features[torch.cat(rows)]), [len(part) for part in rows])
        series = [cloud(f"class {k}, {int(run.counts[k])} images", part) for k, part in zip(chosen, places, strict=True)]
        panels.append(Panel(group.label, "", "", series, bare=True))
    return Drawing(panels, used=found)


def _neighbors(run: Run) -> tuple[list[int], list[Tensor]]:
    """Return the two largest classes and the smallest one, and the positions of their images."""
    _, labels = run.features("train")
    chosen = [*run.order[:2].tolist(), int(run.order[run.counts[run.order] > 0][-1])]
    rows = images_of(chosen, labels, _CLASS_LIMIT)
    if sum(map(len, rows)) < 4:
        raise Lacking("at least four images of its largest and smallest classes", run)
    return chosen, rows


def class_variance(runs: Sequence[Run]) -> Drawing:
    """Draw figure 2, 7 or 8: the largest eigenvalue of each class's covariance over the size of the class.

    By all three estimators; the summary has Spearman's rank correlation of both (classes of one image have no variance).
    """
    panels = []
    summary: dict[str, Any] = {}
    found = suitable(runs, lambda run: run.features("train"))
    for group in groups(found):
        series = []
        counts = group.first.counts
        kept = counts > 1
        for estimator in ESTIMATORS:
            values = group.mean(partial(_variance, estimator=estimator))[kept].float()
            series.append(Series(estimator.replace("_", " "), counts[kept].double().tolist(), values.tolist(), None, "points"))
            summary.setdefault(group.label, {})[f"rank correlation, {estimator}"] = _rank_correlation(counts[kept], values)
        panels.append(Panel(group.label, "training images of the class", "intra-class variance", series, scale="log"))
    return Drawing(panels, summary, found)


def _variance(run: Run, estimator: Estimator) -> Tensor:
    return intra_class_variance(*run.features("train"), len(run.counts), estimator)


def _rank_correlation(counts: Tensor, values: Tensor) -> float:
    """Return Spearman's rank correlation of class sizes with values, both of shape (N,)."""
    return float(stats.spearmanr(counts.numpy(), values.numpy()).statistic) if len(values) > 2 else math.nan


def projections(runs: Sequence[Run]) -> Drawing:
    """Draw figure 3: how much each eigendirection of each class counts in the learned local projection."""
    panels = []
    found = suitable(using(runs, "local_projection"), _projection)
    for group in groups(found):
        grid = _projection(group.first).double().sigmoid()[group.first.order]
        panels.append(Panel(group.label, "eigendirection, by increasing eigenvalue", INDEX, grid=grid.tolist()))
    return Drawing(panels, used=found)


def _projection(run: Run) -> Tensor:
    weights = run.find("head.classifier.weights")
    if weights is None:
        raise Lacking("the weights of a local projection", run)
    return weights


def learning_curves(runs: Sequence[Run]) -> Drawing:
    """Draw figure 4: accuracy of the splits over training, on images held out where a run has such, else on training images."""
    drawn: list[Run] = []
    panels = []
    for images, ylabel in (("held_out", "accuracy on held-out images in %"), ("train", "training accuracy in %")):
        curves = {f"{images}_{split}": split for split in SPLITS[1:]}
        members = groups(run for run in runs if run not in drawn and curves.keys() & run.measured())
        panels += [over_training(group.label, ylabel, [group], curves) for group in members]
        drawn += members_of(members)
    if not panels:
        raise Lacking("the curves held_out_many, held_out_medium and held_out_few, or train_many and so on")
    return Drawing(panels, used=drawn)


def adjustment_weight(runs: Sequence[Run]) -> Drawing:
    """Draw figure 5: accuracy over the weight of logit adjustment, a panel for each dataset and stage below."""
    found, left_out = _learned(runs)
    together: dict[str, list[Run]] = {}
    for run in found:
        together.setdefault(json.dumps(_beside_tau(run), sort_keys=True), []).append(run)
    several = [members for members in together.values() if len({_tau(run) for run in members}) > 1]
    if not several:
        values = ", ".join(dict.fromkeys(f"{_tau(run):g} ({run.record.expression} on {run.dataset})" for run in found))
        raise Lacking(f"runs on equal terms at two values of tau or more, got {values}")
    used = [run for members in several for run in _one_name_a_value(members)]
    panels = []
    for members in several:
        below = "/".join(stage.expression for stage in members[0].record.stages[:-1])
        told = [members[0].dataset, *([f"on {below}"] if below else [])] if len(several) > 1 else []
        title = ", ".join(["learned centroids", *told])
        series = sweep(_one_name_a_value(members), _tau, SPLITS)
        panels.append(Panel(title, "weight of logit adjustment", "accuracy in %", series))
    left_out |= {run.record.expression for run in found if not any(run in members for members in several)}
    return Drawing(panels, _told(left_out), used=used)


def _learned(runs: Sequence[Run]) -> tuple[list[Run], set[str]]:
    """Return the runs whose last stage learns centroids and does nothing else, and the expressions of the others that do."""
    found = using(runs, *_LEARNED)
    alone = [run for run in found if [method.name for method in run.record.stages[-1].methods if method.name in _LEARNED]
             and len(run.record.stages[-1].methods) == 1]
    others = {run.record.expression for run in found if run not in alone}
    if not alone:
        raise Lacking(f"a run whose last stage is {' or '.join(_LEARNED)}, got {', '.join(sorted(others))}")
    return alone, others


def _tau(run: Run) -> float:
    return float(option(run, "tau", *_LEARNED))


def _beside_tau(run: Run) -> dict[str, Any]:
    """Return all that a line of figure 5 has in common; a method that only has another tau is the same one."""
    (method,) = run.record.stages[-1].methods
    return {**terms(run), "expression": [stage.expression for stage in run.record.stages[:-1]],
            "options": {name: value for name, value in method.hyperparameters.items() if name != "tau"}}


def _one_name_a_value(members: Sequence[Run]) -> list[Run]:
    """Return runs of which none is another's under a second name: lncm(tau=0.125) and lncm_la are one point."""
    names: dict[float, list[str]] = {}
    for run in members:
        names.setdefault(_tau(run), []).append(run.record.stages[-1].methods[0].name)
    return [run for run in members if run.record.stages[-1].methods[0].name == min(names[_tau(run)])]


def _told(left_out: set[str]) -> dict[str, Any]:
    return {"left out": ", ".join(sorted(left_out))} if left_out else {}


def displacement(runs: Sequence[Run]) -> Drawing:
    """Draw figure 6: how far learned centroids are from the empirical ones, class by class, and CDNV over training."""
    found, left_out = _learned(runs)
    members = groups(suitable(found, _moved))
    left = by_class("displacement of centroids", "distance from the class mean", members, _moved)
    right = over_training("class-distance normalized variance", "CDNV", members, {"cdnv": ""})
    summary: dict[str, Any] = _told(left_out)
    for group in members:
        moved = group.mean(_moved)
        summary[group.label] = {
            "mean displacement": float(moved.float().mean()),
            "rank correlation of displacement and class size": _rank_correlation(group.first.counts, moved),
        }
    for series in right.series:
        summary[series.label] |= {"CDNV before": series.y[0], "CDNV after": series.y[-1]}
    return Drawing([left, right], summary, members_of(members))


def _moved(run: Run) -> Tensor:
    layer = run.layer()
    if not layer.points or layer.vectors is None or len(layer.classes) < len(run.counts):
        raise Lacking("learned centroids of every class in its last stage", run)
    return lengths(layer.vectors - layer.means)
