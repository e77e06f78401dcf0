"""Figures on the geometry of a finished run, for every record: they describe a model and never rank it.

All take the tensors of the last stage, by their names within it. A figure that cannot be said (no vector for each class, fewer
than two classes) is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

import ltbench
from ltbench_analysis.collapse import statistics_figures
from ltbench_analysis.geometry import centered, coefficient_of_variation, lengths, smallest_angle
from ltbench_analysis.layer import read_layer


def norms(geometry: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the coefficient of variation of the lengths of centroids, and of weight vectors or prototypes."""
    layer = read_layer(geometry)
    found = {"centroids": coefficient_of_variation(lengths(layer.means))}
    if layer.vectors is not None and layer.kind is not None:
        found[layer.kind] = coefficient_of_variation(lengths(layer.vectors))
    return _finite(found)


def smallest_angles(geometry: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the smallest angle of a pair, in degrees, of centered class means and of weight vectors or prototypes.

    Euclidean prototypes are centered too, for their origin means nothing; weight vectors and unit prototypes are not.
    """
    layer = read_layer(geometry)
    if len(layer.classes) < 2:
        return {}
    found = {"class_means": smallest_angle(centered(layer.means))}
    if layer.vectors is not None and layer.kind is not None:
        found[layer.kind] = smallest_angle(centered(layer.vectors) if layer.points else layer.vectors)
    return _finite(found)


def collapse(geometry: Mapping[str, Tensor]) -> dict[str, float]:
    """Return CDNV and NC1 to NC4, see :mod:`ltbench_analysis.collapse`."""
    layer = read_layer(geometry)
    if len(layer.classes) < 2:
        return {}
    found = {"cdnv": ltbench.class_distance_normalized_variance(layer.means, layer.variance), **statistics_figures(layer)}
    if layer.points and layer.vectors is not None and layer.vectors.shape == layer.means.shape:
        # The variances stay and the prototypes stand in the place of the means.
        found["cdnv_prototypes"] = ltbench.class_distance_normalized_variance(layer.vectors, layer.variance)
    return _finite(found)


def _finite(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if math.isfinite(value)}
