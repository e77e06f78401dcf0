"""Registration of the nearest class mean; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench import MethodSpec, hookimpl


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the nearest class mean."""
    return [MethodSpec("ncm", "ltbench_ncm.ncm:NearestClassMean", "the class with the nearest mean feature wins; trains nothing",
                       frozenset({2}), "Mensink et al., 2013", aliases=("nearest_class_mean",))]
