"""Registration of the nearest-mean classifiers; imports no torch."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from ltbench import MethodSpec, hookimpl


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the nearest-mean classifiers, and what their paper looks into features with."""
    later = frozenset({2})
    spec = functools.partial(MethodSpec, stages=later, paper="Learned NCM (anonymous submission)", kind="head")
    adjusted = {"tau": 0.125}
    return [
        MethodSpec("ncm", "ltbench_ncm.ncm:NearestClassMean", "the class with the nearest mean feature wins; trains nothing",
                  later, "Mensink et al., 2013", aliases=("nearest_class_mean",), kind="head"),
        spec("lncm", "ltbench_ncm.lncm:LearnedNCM", "learns the centroids, from the class means on", aliases=("learned_ncm",)),
        spec("lncm_la", "ltbench_ncm.lncm:LearnedNCM", "learns the centroids with logit adjustment", defaults=adjusted),
        spec("multi_ncm", "ltbench_ncm.multi_ncm:MultiNCM",
             "learns displacements that all classes share, around fixed learned centroids", needs_classifier=True),
        spec("multi_ncm_la", "ltbench_ncm.multi_ncm:MultiNCM", "learns shared displacements with logit adjustment",
             needs_classifier=True, defaults=adjusted),
        spec("lncm_global", "ltbench_ncm.lncm_global:GlobalMetricNCM", "learns the centroids and one Mahalanobis metric"),
        spec("lncm_local", "ltbench_ncm.lncm_local:LocalMetricNCM",
             "learns the centroids and a Mahalanobis metric for each class"),
        spec("local_projection", "ltbench_ncm.local_projection:LocalProjection",
             "learns how much each eigendirection of a class counts in the distance to its mean"),
        spec("bn_stats", "ltbench_ncm.bn_stats:BatchNormStatistics", "estimates batch-norm statistics again on the final weights",
             needs_classifier=True, kind="tool"),
        spec("learning_curve", "ltbench_ncm.learning_curve:LearningCurve",
             "notes accuracy by split in every epoch, on images trained on and on images held out",
             stages=frozenset({1, 2}), kind="tool"),
    ]
