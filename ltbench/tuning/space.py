"""What of a planned run may be tuned: what its methods declare and nobody has set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ltbench.hyperparameters import format_value
from ltbench.plan import RunPlan
from ltbench.search import Range


def space_of(plan: RunPlan) -> dict[str, Range]:
    """Return where to look for each hyperparameter, by ``method.name`` as ``--set`` takes it.

    Args:
        plan: Of the expression as typed; what the user set in it, or by ``--set``, keeps its value.
    """
    return {f"{choice.method.name}.{name}": choice.method.search[name]
            for stage in plan.stages for choice in stage.choices
            for name in sorted(choice.method.search) if name not in choice.given}


def rounded(value: Any) -> Any:
    """Return a number with four significant digits, which is what a table can show; anything else as it is."""
    return float(f"{value:.4g}") if isinstance(value, float) and math.isfinite(value) else value


def spelled(values: Mapping[str, Any]) -> list[str]:
    """Write values the way that ``--set`` takes them.

    Args:
        values: By ``method.name``.
    """
    return [f"{name}={format_value(value)}" for name, value in values.items()]
