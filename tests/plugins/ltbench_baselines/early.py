"""A plugin of methods that start late, started at once: the conformance kit trains for two epochs only."""

from __future__ import annotations

import ltbench
from ltbench_baselines.dro_lt import DistributionalRobustness


class EarlyRobustness(DistributionalRobustness):
    """Apply the robustness loss from the first epoch on."""

    name = "early_dro_lt"

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts, start=0.0)


@ltbench.hookimpl
def ltbench_methods() -> list[ltbench.MethodSpec]:
    return [ltbench.MethodSpec("early_dro_lt", f"{__name__}:EarlyRobustness", "starts at once", frozenset({1}), per_part=True)]
