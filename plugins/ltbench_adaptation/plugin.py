"""Registration; imports no torch."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from ltbench import MethodSpec, hookimpl

_FIRST = frozenset({1})


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the methods."""
    transformers: dict[str, Any] = {"kind": "adaptation", "needs_transformer": True}
    return [
        MethodSpec("linear_probe", "ltbench_adaptation.linear_probe:LinearProbe", "trains the classifier over a fixed backbone",
                   _FIRST, kind="adaptation"),
        MethodSpec("bitfit", "ltbench_adaptation.bitfit:BitFit", "trains biases and the classifier alone", _FIRST,
                   "Ben Zaken et al., 2022", **transformers),
        MethodSpec("lora", "ltbench_adaptation.lora:LowRankAdaptation", "adds products of low rank in attention", _FIRST,
                   "Hu et al., 2022", aliases=("low_rank_adaptation",), **transformers),
        MethodSpec("adaptformer", "ltbench_adaptation.adaptformer:AdaptFormer", "a bottleneck beside each block's perceptron",
                   _FIRST, "Chen et al., 2022", **transformers),
        MethodSpec("vpt", "ltbench_adaptation.vpt:VisualPrompts", "learned tokens beside those of the image", _FIRST,
                   "Jia et al., 2022", aliases=("visual_prompt_tuning",), **transformers),
        MethodSpec("lift", "ltbench_adaptation.lift:Lift",
                   "small adapters, a cosine classifier that starts from the classes' names, logit adjustment", _FIRST,
                   "Shi et al., 2024", **transformers),
        MethodSpec("tte", "ltbench_adaptation.tte:FiveCrops", "averages the logits of five crops of the enlarged test image",
                   frozenset({1, 2}), "Shi et al., 2024", aliases=("test_time_ensembling",), kind="adaptation"),
    ]


@hookimpl
def ltbench_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``ltbench text-features``."""
    from ltbench_adaptation.command import register

    register(commands)
