"""Registration of the nearest-mean classifiers; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench import MethodSpec, hookimpl

_LATER = frozenset({2})
_PAPER = "Learned NCM (anonymous submission)"


def _spec(name: str, target: str, summary: str, paper: str = _PAPER, stages: frozenset[int] = _LATER,
          aliases: tuple[str, ...] = (), needs_classifier: bool = False) -> MethodSpec:
    return MethodSpec(name, f"ltbench_ncm.{target}", summary, stages, paper, aliases, needs_classifier=needs_classifier)


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the nearest-mean classifiers, and what their paper looks into features with."""
    return [
        _spec("ncm", "ncm:NearestClassMean", "the class with the nearest mean feature wins; trains nothing",
              "Mensink et al., 2013", aliases=("nearest_class_mean",)),
        _spec("lncm", "lncm:LearnedNCM", "learns the centroids, from the class means on", aliases=("learned_ncm",)),
        _spec("lncm_la", "lncm:AdjustedLearnedNCM", "learns the centroids with logit adjustment"),
        _spec("multi_ncm", "multi_ncm:MultiNCM", "learns displacements that all classes share, around fixed learned centroids",
              needs_classifier=True),
        _spec("multi_ncm_la", "multi_ncm:AdjustedMultiNCM", "learns shared displacements with logit adjustment",
              needs_classifier=True),
        _spec("lncm_global", "lncm_global:GlobalMetricNCM", "learns the centroids and one Mahalanobis metric"),
        _spec("lncm_local", "lncm_local:LocalMetricNCM", "learns the centroids and a Mahalanobis metric for each class"),
        _spec("local_projection", "local_projection:LocalProjection",
              "learns how much each eigendirection of a class counts in the distance to its mean"),
        _spec("bn_stats", "bn_stats:BatchNormStatistics", "estimates batch-norm statistics again on the final weights",
              needs_classifier=True),
        _spec("learning_curve", "learning_curve:LearningCurve", "notes the training accuracy by split in every epoch",
              stages=frozenset({1, 2})),
    ]
