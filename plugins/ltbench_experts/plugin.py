"""Registration; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench import MethodSpec, hookimpl

_FIRST = frozenset({1})


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the methods."""
    return [
        MethodSpec("ncl", "ltbench_experts.ncl:NestedCollaboration", "whole networks that teach each other, and hard classes",
                   _FIRST, "Li et al., 2022", aliases=("nested_collaborative_learning",), kind="experts"),
        MethodSpec("sade", "ltbench_experts.sade:SkillDiverseExperts", "experts for many, equal and few images a class",
                   _FIRST, "Zhang et al., 2022", aliases=("skill_diverse_experts",), kind="experts"),
    ]
