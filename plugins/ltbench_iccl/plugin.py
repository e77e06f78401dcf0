"""Registration of ICCL; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench import MethodSpec, hookimpl

_PAPER = "Tiong et al., 2023"


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the two stages of ICCL."""
    return [
        MethodSpec("iccl", "ltbench_iccl.iccl:ICCL", "retrieves the centroids of both classes of mixed head and tail images",
                   frozenset({1}), _PAPER, kind="contrastive"),
        MethodSpec("iccl_rebalance", "ltbench_iccl.iccl_rebalance:ICCLRebalancing",
                   "fine-tunes the classifier on class-aware samples, taught by the stage before", frozenset({2}), _PAPER,
                   needs_classifier=True, kind="head"),
    ]
