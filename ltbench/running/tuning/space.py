"""What of a planned run may be tuned: what its methods declare and nobody has set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ltbench.errors import UserError
from ltbench.method.contract import Method
from ltbench.method.hyperparameters import format_value, resolve, search_space
from ltbench.method.search import Range
from ltbench.planning.plan import RunPlan


def space_of(plan: RunPlan) -> dict[str, Range]:
    """Return where to look for each hyperparameter, by ``method.name`` as ``--set`` takes it.

    Args:
        plan: Of the expression as typed; what the user set in it, or by ``--set``, keeps its value.

    Raises:
        UserError: If a method declares values of another type than it takes: every trial would be refused, after hours of other
            methods' trials.
    """
    space: dict[str, Range] = {}
    for stage in plan.stages:
        for choice in stage.choices:
            for name, where in sorted(search_space(choice.method).items()):
                if name not in choice.given:
                    _require_usable(choice.method, name, where)
                    space[f"{choice.method.name}.{name}"] = where
    return space


def _require_usable(method: type[Method], name: str, where: Range) -> None:
    for value in where.ends:
        try:
            resolve(method, {name: value})
        except UserError as error:
            raise UserError(f"search of method {method.name!r}: {error}") from error


def rounded(value: Any) -> Any:
    """Return a number with four significant digits, which is what a table can show; anything else as it is."""
    return float(f"{value:.4g}") if isinstance(value, float) and math.isfinite(value) else value


def spelled(values: Mapping[str, Any]) -> list[str]:
    """Write values the way that ``--set`` takes them.

    Args:
        values: By ``method.name``.
    """
    return [f"{name}={format_value(value)}" for name, value in values.items()]
