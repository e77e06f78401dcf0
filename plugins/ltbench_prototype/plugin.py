"""Registration of the prototype classifier; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench import MethodSpec, hookimpl


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the prototype classifier."""
    return [MethodSpec("prototype", "ltbench_prototype.prototype:PrototypeClassifier",
                       "learns one prototype a class by its distance to features", frozenset({2}), "Sharma et al., 2023")]
