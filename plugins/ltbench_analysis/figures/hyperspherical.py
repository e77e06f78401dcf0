"""Figures 2 and 3a of the dynamic label-to-prototype assignment's paper (Saadabadi et al., 2024): how prototypes are spread."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench
from ltbench_analysis.drawing import Drawing, Panel, Series
from ltbench_analysis.geometry import mean_cosines, pair_cosines
from ltbench_analysis.runs import Group, Lacking, Run, groups, suitable

_SIGMAS = (0.1, 1.0, 10.0)  # of the Gaussians that random prototypes are drawn from; their directions do not depend on it


def spread(runs: Sequence[Run]) -> Drawing:
    """Draw figure 2: random prototypes have the largest mean angle too, and yet close pairs.

    Left the mean pairwise angle (APAD), in the middle prototypes on the sphere in three dimensions (in an area-true projection),
    right the cosine distance of the closest pair; the runs' own prototypes beside random ones of their number and dimension.
    """
    given = _by_label(runs)
    found = {group.label: vectors for group, vectors in given}
    classes, dim = given[0][1].shape
    for number, sigma in enumerate(_SIGMAS):
        found[f"random, sigma {sigma:g}"] = sigma * torch.randn(classes, dim, generator=torch.Generator().manual_seed(number))
    names = list(found)
    pairs = [pair_cosines(vectors) for vectors in found.values()]
    apad = [math.radians(each.mean_angle) for each in pairs]
    distance = [1 - each.largest for each in pairs]
    estimate = ltbench.load_method("hyperspherical").estimate
    sphere = {"optimized": estimate(3, classes), "random": torch.randn(classes, 3, generator=torch.Generator().manual_seed(0))}
    return Drawing([
        Panel("mean pairwise angle", "", "APAD in radians", [Series("", names, apad, None, "bars")]),
        Panel("in three dimensions", "longitude in radians", "height", [_area_true(name, at) for name, at in sphere.items()]),
        Panel("closest pair", "", "1 - cosine", [Series("", names, distance, None, "bars")]),
    ], {name: {"APAD": a, "smallest cosine distance": d} for name, a, d in zip(names, apad, distance, strict=True)},
        [group.first for group, _ in given])


def _area_true(label: str, points: Tensor) -> Series:
    """Project a sphere onto its cylinder (Lambert): equal areas of paper are equal areas of the sphere."""
    unit = F.normalize(points.double(), dim=1)
    return Series(label, torch.atan2(unit[:, 1], unit[:, 0]).tolist(), unit[:, 2].tolist(), None, "points")


def cosines(runs: Sequence[Run]) -> Drawing:
    """Draw figure 3a: the mean cosine of each prototype with the others."""
    series, summary = [], {}
    given = _by_label(runs)
    for group, vectors in given:
        values = mean_cosines(vectors)
        pairs = pair_cosines(vectors)
        series.append(Series(group.label, [float(i) for i in range(len(values))], values.tolist()))
        summary[group.label] = {"largest cosine": pairs.largest, "smallest cosine": pairs.smallest,
                          "cosine of a simplex": -1 / (len(values) - 1)}
    return Drawing([Panel("a) prototypes", "prototype", "mean cosine with the others", series)], summary,
                   [group.first for group, _ in given])


def _by_label(runs: Sequence[Run]) -> list[tuple[Group, Tensor]]:
    """Return the unit prototypes, or the weight vectors, of each setting's smallest seed."""
    found = []
    for group in groups(suitable(runs, Run.layer)):
        layer = group.first.layer()
        if layer.vectors is not None and not layer.points and len(layer.vectors) > 1:
            found.append((group, layer.vectors))
    if not found:
        raise Lacking("unit prototypes or weight vectors in the last stage")
    return found
