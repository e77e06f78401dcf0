"""What this distribution adds to ltbench; imports no torch, so that listing stays instant."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench import DatasetSpec, MethodSpec, hookimpl


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the method."""
    return [MethodSpec("label_aware_smoothing", "ltbench_example.label_aware_smoothing:LabelAwareSmoothing",
                       "smooths the labels of larger classes more", frozenset({1, 2}), "Zhong et al., 2021")]


@hookimpl
def ltbench_datasets() -> Iterable[DatasetSpec]:
    """Describe the dataset."""
    return [DatasetSpec("patches-lt", "ltbench_example.patches:PatchesLT",
                        "patches of two photographs, 16 x 16, part of scikit-learn", 8, default_ratio=20.0, source="embedded")]
