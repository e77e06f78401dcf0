"""Registration of the contrastive methods; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ltbench import MethodSpec, hookimpl

_FIRST = frozenset({1})


def _spec(name: str, target: str, summary: str, paper: str, **options: Any) -> MethodSpec:
    # What is contrasted are the images of a batch, so that keys say in how many parts it was cut.
    return MethodSpec(name, f"ltbench_contrastive.{target}", summary,
                      **{"stages": _FIRST, "paper": paper, "kind": "contrastive", "per_part": True, **options})


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the contrastive methods."""
    return [
        _spec("bcl", "bcl:BalancedContrast", "contrasts views so that each class counts alike, absent ones by a prototype",
              "Zhu et al., 2022"),
        _spec("paco", "paco:PaCo", "contrasts images with a queue of keys and with a learned center of every class",
              "Cui et al., 2021"),
        _spec("gpaco", "gpaco:GPaCo", "paco by one network, without a momentum encoder", "Cui et al., 2023"),
        _spec("proco", "proco:ProCo", "contrasts images with the estimated distribution of every class", "Du et al., 2024"),
        _spec("kcl", "k_positive:KPositiveContrast", "contrasts images with a queue of keys, the same number of positives each",
              "Kang et al., 2021", per_part=False),
        _spec("fcl", "k_positive:KPositiveContrast", "kcl with all keys of the class as positives", "Kang et al., 2021",
              per_part=False, fixed={"positives": None}),
        _spec("tsc", "tsc:TargetedContrast", "goes on from kcl, each class drawn to an evenly spread target of its own",
              "Li et al., 2022", per_part=False, stages=frozenset({2}), continues=True),
    ]
