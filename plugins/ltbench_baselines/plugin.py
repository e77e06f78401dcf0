"""Registration of the baselines; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ltbench import MethodSpec, hookimpl

_BOTH = frozenset({1, 2})
_FIRST = frozenset({1})
_LATER = frozenset({2})


def _spec(name: str, target: str, summary: str, paper: str, stages: frozenset[int] = _BOTH, aliases: tuple[str, ...] = (),
          **options: Any) -> MethodSpec:
    return MethodSpec(name, f"ltbench_baselines.{target}", summary, stages, paper, aliases, **options)


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the baselines."""
    return [
        _spec("ce", "ce:CrossEntropy", "cross-entropy on instance-balanced samples", "",
              aliases=("cross_entropy",), base=True, kind="loss"),
        _spec("focal", "focal:Focal", "down-weights samples that are already classified well", "Lin et al., 2017",
              aliases=("focal_loss",), kind="loss"),
        _spec("cb", "cb:ClassBalancedWeights", "weights classes by their effective number of samples", "Cui et al., 2019",
              aliases=("class_balanced_loss",), kind="loss"),
        _spec("rw", "rw:InverseFrequencyWeights", "weights classes by their inverse frequency", "Cao et al., 2019",
              aliases=("reweighting",), kind="loss"),
        _spec("rs", "rs:ClassBalancedSampling", "draws every class equally often", "Cao et al., 2019",
              aliases=("resampling",), kind="sampler"),
        _spec("drw", "drw:DeferredReweighting", "class-balanced weights in the last fifth of the training", "Cao et al., 2019",
              partner=True, kind="loss"),
        _spec("drs", "drs:DeferredResampling", "class-balanced sampling in the last fifth of the training", "Cao et al., 2019",
              kind="sampler"),
        _spec("ldam", "ldam:LDAM", "cosine classifier with larger margins for smaller classes", "Cao et al., 2019",
              kind="margin"),
        _spec("dnc", "dnc:DeepNearestCentroids", "nearest of several momentum centroids a class; features alone learn",
              "Wang et al., 2023", _FIRST, aliases=("deep_nearest_centroids",), kind="head"),
        _spec("la", "la:LogitAdjustment", "trains on logits shifted by the log class prior", "Menon et al., 2021",
              aliases=("logit_adjustment",), kind="margin"),
        _spec("post_la", "post_la:PostHocLogitAdjustment", "subtracts the log class prior from the logits at evaluation",
              "Menon et al., 2021", aliases=("post_hoc_logit_adjustment",), kind="margin"),
        # Its factors n_k differ from the class prior by a constant that a softmax cancels; the paper's meta-sampler is left out.
        MethodSpec("balanced_softmax", "ltbench_baselines.la:LogitAdjustment", "softmax with terms multiplied by the class sizes",
                   _BOTH, "Ren et al., 2020", fixed={"tau": 1.0}, kind="margin"),
        _spec("mse", "mse:SquaredError", "squared error between logits and one-hot labels", "Hui & Belkin, 2021",
              aliases=("squared_error",), kind="loss"),
        _spec("mixup", "mixup:Mixup", "trains on convex combinations of pairs of images", "Zhang et al., 2018", partner=True,
              kind="mixing"),
        _spec("manifold_mixup", "manifold_mixup:ManifoldMixup", "trains on convex combinations of hidden states",
              "Verma et al., 2019", _FIRST, kind="mixing", needs_parts=True),
        _spec("bbn", "bbn:BilateralBranch", "two branches for head and tail, weighted by the progress of the training",
              "Zhou et al., 2020", _FIRST, kind="experts"),
        _spec("dro_lt", "dro_lt:DistributionalRobustness", "draws features to centroids by a margin for their uncertainty",
              "Samuel & Chechik, 2021", _FIRST, kind="contrastive", per_part=True),
        _spec("dro_lt_public", "dro_lt_public:PublicRobustness", "dro_lt's second phase as public: tunes the backbone alone",
              "Samuel & Chechik, 2021", _LATER, needs_classifier=True, kind="contrastive", per_part=True),
        _spec("ride", "ride:RoutedExperts", "several experts on one trunk, kept apart by a diversity loss", "Wang et al., 2021",
              _FIRST, kind="experts"),
        _spec("tde", "tde:TotalDirectEffect", "leaves out of the logits what the mean feature adds", "Tang et al., 2020", _FIRST,
              kind="head"),
        _spec("oltr", "oltr:OpenLongTailed", "attention to the last maps, and a memory of class centroids", "Liu et al., 2019",
              _LATER, kind="head"),
        _spec("wd", "wd:WeightDecay", "weight decay tuned for long tails", "Alshammari et al., 2022", kind="regularizer"),
        _spec("crt", "crt:ClassifierRetraining", "trains a new classifier, class-balanced", "Kang et al., 2020", _LATER,
              partner=True, kind="head"),
        _spec("lws", "lws:LearnableWeightScaling", "learns one scale a class for the classifier", "Kang et al., 2020", _LATER,
              needs_classifier=True, kind="head"),
        _spec("tau_norm", "tau_norm:TauNormalization", "divides each class's weight vector by its norm to the power tau",
              "Kang et al., 2020", _LATER, aliases=("tau_normalization",), needs_classifier=True, kind="head"),
        _spec("disalign", "disalign:DistributionAlignment", "learns a magnitude and a margin a class for the classifier",
              "Zhang et al., 2021", _LATER, needs_classifier=True, kind="head"),
        _spec("maxnorm", "maxnorm:MaxNorm", "fine-tunes the classifier with weight vectors kept in a ball",
              "Alshammari et al., 2022", _LATER, needs_classifier=True, kind="head"),
    ]
