"""Registration of the feature regularizers; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench import MethodSpec, hookimpl

_FIRST = frozenset({1})


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the regularizers."""
    return [
        MethodSpec("nc", "ltbench_nc.nc:NeuralCollapse", "draws features to their class means and the means apart", _FIRST,
                   "Liu et al., 2023", aliases=("neural_collapse",), partner=True, kind="regularizer",
                   per_part=True),
        MethodSpec("center_loss", "ltbench_nc.center_loss:CenterLoss", "draws all features equally to their class centers",
                   _FIRST, "Wen et al., 2016", kind="regularizer"),
    ]
