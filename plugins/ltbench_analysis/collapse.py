"""Neural collapse, NC1 to NC4 (Papyan et al., 2020; as stated for long tails by Liu et al., 2023, section 2.1, eqs. 2 to 6).

All are 0 in full collapse. Every class counts alike, and class means are centered at the mean of class means: on long-tailed data
averages over samples would describe the large classes alone.

- NC1, within-class scatter against that between classes. With features, tr(S_W S_B^+) / C (as Papyan et al. plot it), where S_W
  is the mean covariance of a class and S_B the covariance of the class means; from statistics alone tr(S_W) / tr(S_B).
- NC2, a simplex: the coefficient of variation of lengths (eq. 4), the standard deviation of cosines over pairs, and the mean of
  |cos + 1 / (C - 1)| over pairs (eq. 3); for centered means and for classifier vectors.
- NC3, self-duality (eq. 5): || W / ||W|| - M / ||M|| || with Frobenius norms, both centered over classes: adding one vector to
  all weight vectors, or moving all prototypes, leaves the decision of a linear or a squared-distance classifier as it was.
- NC4, nearest center (eq. 6): the share of features whose class by the model is not that of the nearest class mean.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

import ltbench
from ltbench_analysis.geometry import centered, coefficient_of_variation, lengths, pair_cosines
from ltbench_analysis.layer import Layer

_CHUNK = 1024  # rows in float64 at once: at 8,142 classes their distances take 64 MiB, half of what the class means do


def scatter_ratio(means: Tensor, variance: Tensor) -> float:
    """Return NC1 from statistics, tr(S_W) / tr(S_B); infinite where all means coincide.

    Args:
        means: Shape (C, d).
        variance: Trace of each class's covariance, shape (C,).
    """
    between = float(centered(means).square().sum(dim=1).mean())
    return float(variance.double().mean()) / between if between > 0 else math.inf


def scatter_trace(features: Tensor, labels: Tensor) -> float:
    """Return NC1 from features, tr(S_W S_B^+) / C; infinite where all means coincide.

    S_B has rank C - 1 at most, so its pseudo-inverse is taken in the directions of the class means, and no d x d matrix is made.

    Args:
        features: Shape (N, d).
        labels: Shape (N,), of at least two classes.
    """
    classes, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    means = ltbench.class_means(features.double(), index, len(classes))
    _, sizes, axes = torch.linalg.svd(centered(means) / math.sqrt(len(classes)), full_matrices=False)
    # Rounding is relative to the means as they are, which may lie far from their center: below it there is no direction.
    kept = sizes > max(means.shape) * torch.finfo(torch.float64).eps * means.norm() / math.sqrt(len(classes))
    if not kept.any():
        return math.inf
    scaled = axes[kept] / sizes[kept][:, None]  # (r, d)
    share = 1 / (len(classes) * counts.double())  # what a sample weighs: classes alike
    total = 0.0
    for part in torch.split(torch.arange(len(labels)), _CHUNK):
        within = (features[part].double() - means[index[part]]) @ scaled.T  # (B, r)
        total += float((within.square().sum(dim=1) * share[index[part]]).sum())
    return total / len(classes)


def simplex_distance(vectors: Tensor) -> dict[str, float]:
    """Return NC2 of centered vectors, shape (C, d): ``norms``, ``angles`` and ``simplex``, see the module."""
    cosines = pair_cosines(vectors)
    return {"norms": coefficient_of_variation(lengths(vectors)), "angles": cosines.deviation, "simplex": cosines.from_simplex}


def duality(means: Tensor, vectors: Tensor) -> float:
    """Return NC3, from 0 (parallel) by way of sqrt(2) (unrelated) to 2 (opposite).

    Args:
        means: Shape (C, d).
        vectors: Of the classifier, shape (C, d).
    """
    a, b = centered(means), centered(vectors)
    return float(a.div_(a.norm()).sub_(b.div_(b.norm())).norm())


def center_disagreement(features: Tensor, means: Tensor, decided: Tensor) -> float:
    """Return NC4, the share of features that the model gives to another class than the nearest mean's.

    Args:
        features: Shape (N, d).
        means: Shape (C, d).
        decided: Class by the model, shape (N,).
    """
    wrong = 0
    for part in torch.split(torch.arange(len(features)), _CHUNK):
        nearest = ltbench.pairwise_squared_distance(features[part].double(), means.double()).argmin(dim=1)
        wrong += int((nearest != decided[part]).sum())
    return wrong / len(features)


def linear_decision(features: Tensor, layer: Layer) -> Tensor | None:
    """Return what a linear classifier decides, as positions among the layer's classes, shape (N,).

    None without a bias: weight vectors without one may be a cosine classifier's, and nothing that is kept tells.
    """
    if layer.bias is None or layer.vectors is None or layer.vectors.shape[1] != features.shape[1]:
        return None
    return torch.cat([(part.double() @ layer.vectors.T + layer.bias).argmax(dim=1) for part in torch.split(features, _CHUNK)])


def statistics_figures(layer: Layer) -> dict[str, float]:
    """Return NC1 to NC4 of at least two classes as far as their statistics tell; NC4 takes the class means for features."""
    figures = {"nc1": scatter_ratio(layer.means, layer.variance)}
    figures |= {f"nc2_{name}": value for name, value in simplex_distance(centered(layer.means)).items()}
    if layer.vectors is not None:
        figures |= {f"nc2_classifier_{name}": value for name, value in simplex_distance(centered(layer.vectors)).items()}
        if layer.vectors.shape == layer.means.shape:
            figures["nc3"] = duality(layer.means, layer.vectors)
    decided = linear_decision(layer.means, layer)
    if decided is not None:
        figures["nc4_means"] = center_disagreement(layer.means, layer.means, decided)
    return figures
