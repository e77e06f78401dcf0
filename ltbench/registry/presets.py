"""Presets: methods of their own name that are the class of another with some hyperparameters fixed or changed."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from typing import Any

from ltbench.registry.specs import MethodSpec


@functools.cache
def preset_class(base: type[Any], spec: MethodSpec) -> type[Any]:
    """Return the class of a preset: its base under another name, whose constructor has the preset's hyperparameters.

    It is one class however often it is asked for, for classes are compared. Slots, stages and the paper's setting are the base's.

    Args:
        base: What the spec points to.
        spec: Of the preset.

    Raises:
        ValueError: If the spec names what is no hyperparameter of the base.
    """
    signature = inspect.signature(base.__init__)
    known = [name for name, one in signature.parameters.items() if one.kind is inspect.Parameter.KEYWORD_ONLY]
    for name in (*spec.fixed, *spec.defaults):
        if name not in known:
            raise ValueError(f"preset {spec.name!r} must set hyperparameters of its class ({', '.join(known)}), got {name!r}")

    def construct(self: Any, facts: Any, **values: Any) -> None:
        base.__init__(self, facts, **{**spec.defaults, **values}, **spec.fixed)

    left = [one.replace(default=spec.defaults.get(name, one.default))
            for name, one in signature.parameters.items() if name not in spec.fixed]
    construct.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
    construct.__annotations__ = typing.get_type_hints(base.__init__, include_extras=True)
    members = {"name": spec.name, "__init__": construct, "__doc__": base.__doc__, "__module__": base.__module__,
               "__qualname__": base.__qualname__}
    return types.new_class(base.__name__, (base,), exec_body=lambda namespace: namespace.update(members))
