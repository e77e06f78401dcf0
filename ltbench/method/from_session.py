"""Methods that a caller defined in a session of his own, without a plugin: registered under their names."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ltbench.errors import UserError
from ltbench.registry.hookspecs import hookimpl
from ltbench.registry.session_text import is_typed, typed_hash
from ltbench.registry.specs import MethodSpec

if TYPE_CHECKING:
    from ltbench.method.contract import Method
    from ltbench.registry.discovery import Registry


class Offering:
    """Be a plugin that offers methods which no hook of their own names."""

    def __init__(self, specs: list[MethodSpec]) -> None:
        self._specs = specs

    @hookimpl
    def ltbench_methods(self) -> list[MethodSpec]:
        """Return the specs."""
        return self._specs


def spec_of(kind: type[Method]) -> MethodSpec:
    """Describe a method by what its class says; the first line of its own docstring is the summary.

    Raises:
        ValueError: If its name or its stages cannot be.
        TypeError: If its stages are no collection.
    """
    summary = (kind.__doc__ or "").strip().partition("\n")[0].removesuffix(".")
    return MethodSpec(kind.name, f"{kind.__module__}:{kind.__qualname__}", summary, kind.stages, kind.reference,
                      per_part=kind.per_part)


def register(method: type[Any], registry: Registry) -> str:
    """Let a class be named in expressions, and return its name.

    Args:
        method: Derived from :class:`ltbench.Method`, at the top level of a module or of a notebook.

    Raises:
        UserError: If it is no such class, its name is taken, or nothing tells what it does.
    """
    from ltbench.method.contract import Method
    from ltbench.registry.discovery import PluginInfo

    if not (isinstance(method, type) and issubclass(method, Method)):
        raise UserError(f"methods must be expressions or classes derived from ltbench.Method, got {method!r}")
    what = f"method {method.__name__}"
    for name in ("name", "stages"):
        if not hasattr(method, name):
            raise UserError(f"{what} must have {name!r} as a class attribute")
    if getattr(sys.modules.get(method.__module__), method.__name__, None) is not method:
        raise UserError(f"{what} must stand at the top level of a module or of a notebook, got {method.__qualname__}")
    if is_typed(method):
        typed_hash(method)  # refuses what nothing could tell apart
    try:
        spec = spec_of(method)
    except (TypeError, ValueError) as error:
        raise UserError(f"{what}: {error}") from error
    if method.name in registry.methods:
        raise UserError(f"{what} must have a name that is not taken, got {method.name!r}")
    registry.add(Offering([spec]), PluginInfo(method.name, "this session", "0"))
    return str(method.name)
