"""Registration of the mixing methods; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench import MethodSpec, hookimpl


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the methods."""
    return [
        MethodSpec("remix", "ltbench_mixing.remix:Remix", "mixup whose labels favor the rarer class", frozenset({1, 2}),
                   "Chou et al., 2020", kind="mixing"),
        MethodSpec("cmo", "ltbench_mixing.cmo:ContextRichOversampling",
                   "pastes patches of rare classes onto images as they come", frozenset({1}), "Park et al., 2022", kind="mixing"),
        MethodSpec("glmc", "ltbench_mixing.glmc:MixtureConsistency",
                   "two mixtures of one pair of images must agree; rebalanced classifier", frozenset({1}), "Du et al., 2023",
                   kind="mixing"),
        MethodSpec("m2m", "ltbench_mixing.m2m:MajorToMinor", "turns images of frequent classes into images of rare ones",
                   frozenset({2}), "Kim et al., 2020", kind="mixing"),
        MethodSpec("mislas", "ltbench_mixing.mislas:MiSLAS",
                   "fine-tunes the classifier on labels smoothed by class size, with shifted batch norm", frozenset({2}),
                   "Zhong et al., 2021", needs_classifier=True, kind="head"),
    ]
