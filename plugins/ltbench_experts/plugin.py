"""Registration; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench import MethodSpec, hookimpl

_FIRST, _LATER = frozenset({1}), frozenset({2})


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the methods."""
    return [
        MethodSpec("ncl", "ltbench_experts.ncl:NestedCollaboration", "whole networks that teach each other, and hard classes",
                   _FIRST, "Li et al., 2022", aliases=("nested_collaborative_learning",), kind="experts"),
        MethodSpec("sade", "ltbench_experts.sade:SkillDiverseExperts", "experts for many, equal and few images a class",
                   _FIRST, "Zhang et al., 2022", aliases=("skill_diverse_experts",), kind="experts"),
        MethodSpec("lfme_experts", "ltbench_experts.lfme_experts:ShotExperts", "networks for many, medium and few images a class",
                   _FIRST, "Xiang et al., 2020", kind="experts"),
        MethodSpec("lfme", "ltbench_experts.lfme:TaughtByExperts", "a new network that lfme_experts teach, at its own pace",
                   _LATER, "Xiang et al., 2020", aliases=("learning_from_multiple_experts",), kind="experts"),
        MethodSpec("cb_experts", "ltbench_experts.cb_experts:ClassBalancedExperts",
                   "copies of a network that reject what is not theirs", _LATER, "Sharma et al., 2020",
                   aliases=("class_balanced_experts",), kind="experts"),
        MethodSpec("cb_calibration", "ltbench_experts.cb_calibration:JointCalibration", "scales and shifts that join cb_experts",
                   _LATER, "Sharma et al., 2020", kind="experts", needs_classifier=True),
        MethodSpec("shike", "ltbench_experts.shike:SelfHeterogeneous", "experts that read features of several depths",
                   _FIRST, "Jin et al., 2023", aliases=("self_heterogeneous_integration",), kind="experts"),
        MethodSpec("shike_rebalance", "ltbench_experts.shike_rebalance:ExpertRebalancing",
                   "new balanced classifiers for the experts before", _LATER, "Jin et al., 2023", kind="experts"),
    ]
