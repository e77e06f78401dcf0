"""Figures of the prototype classifier's paper (Sharma et al., 2023)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ltbench_analysis.drawing import Drawing, Panel
from ltbench_analysis.figures.common import by_class, over_training, variation
from ltbench_analysis.geometry import lengths, separation
from ltbench_analysis.runs import Group, Lacking, Run, groups, members_of, suitable

_MEASURED = re.compile(r"separation_([a-z_]+)_(euclidean|cosine)")


def norms(runs: Sequence[Run]) -> Drawing:
    """Draw figure 2: class sizes, and lengths of softmax weight vectors, of centroids and of prototypes.

    Weight vectors are those of the first stage that has any, centroids those of the features that the prototypes stand among.
    """
    parts: tuple[tuple[str, Callable[[Run], Tensor | None]], ...]
    parts = (("softmax classifier", _weights), ("centroids", lambda run: run.layer().means), ("prototypes", _prototypes))

    def need(run: Run) -> None:
        if _prototypes(run) is None:
            raise Lacking("prototypes in the last stage", run)
        for title, vectors in parts:
            _lengths(run, vectors, title)

    members = groups(suitable(runs, need))
    panels = [by_class("class sizes", "training images", members, lambda run: run.counts)]
    summary: dict[str, Any] = {}
    for title, vectors in parts:
        values = partial(_lengths, vectors=vectors, what=title)
        panels.append(by_class(title, "norm", members, values))
        for group in members:
            summary.setdefault(group.label, {})[f"coefficient of variation, {title}"] = variation(group, values)
    return Drawing(panels, summary, members_of(members))


def _lengths(run: Run, vectors: Callable[[Run], Tensor | None], what: str) -> Tensor:
    found = vectors(run)
    if found is None:
        raise Lacking(f"vectors of the {what}", run)
    return lengths(found)


def _weights(run: Run) -> Tensor | None:
    return next((weight for number in run.stages if (weight := run.weights(number)) is not None), None)


def _prototypes(run: Run) -> Tensor | None:
    layer = run.layer()
    return layer.vectors if layer.points and len(layer.classes) == len(run.counts) else None


def evolution(runs: Sequence[Run]) -> Drawing:
    """Draw figure 3: mean distance and mean cosine of prototypes over training, by pairs of head and tail classes.

    Head classes are those of the many split, tail classes those of the few split.
    """
    names = sorted({match.group(1) for run in runs for name in run.measured() if (match := _MEASURED.fullmatch(name))})
    members = groups(run for run in runs if any(map(_MEASURED.fullmatch, run.measured())))
    if not members:
        raise Lacking("the curves separation_*_euclidean and separation_*_cosine")
    panels: list[Panel] = []
    for kind, ylabel in (("euclidean", "mean distance of prototypes"), ("cosine", "mean cosine of prototypes")):
        curves = {f"separation_{name}_{kind}": f"{name.replace('_', '-')} pairs" for name in names}
        panels.append(over_training(kind, ylabel, members, curves))
    return Drawing(panels, {group.label: _at_the_end(group) for group in members}, members_of(members))


def _at_the_end(group: Group) -> dict[str, Any]:
    """Return the separation of the final prototypes by pairs of groups of classes, averaged over seeds."""
    vectors = [found for run in group.runs if run.stages and (found := _prototypes(run)) is not None]
    if len(vectors) < len(group.runs):
        return {}
    everything, counts = torch.arange(len(group.first.counts)), group.first.counts
    parts = {"all": everything, "head": everything[counts > 100], "tail": everything[counts < 20]}
    summary = {}
    for a, b in (("all", "all"), ("head", "head"), ("head", "tail"), ("tail", "tail")):
        if len(parts[a]) and len(parts[b]) and len(torch.unique(torch.cat([parts[a], parts[b]]))) > 1:
            pairs = [separation(each, parts[a], parts[b]) for each in vectors]
            summary[f"{a}-{b} at the end"] = {"euclidean": sum(pair.euclidean for pair in pairs) / len(pairs),
                                              "cosine": sum(pair.cosine for pair in pairs) / len(pairs)}
    return summary
