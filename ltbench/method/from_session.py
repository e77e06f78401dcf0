"""Methods that a caller defined in a session of his own, without a plugin: registered under their names."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ltbench.errors import UserError
from ltbench.registry.hookspecs import hookimpl
from ltbench.registry.session_text import is_typed, typed_hash
from ltbench.registry.specs import MethodSpec

if TYPE_CHECKING:
    from ltbench.registry.discovery import Registry


class _Session:
    """Be a plugin that offers one class."""

    def __init__(self, spec: MethodSpec) -> None:
        self._spec = spec

    @hookimpl
    def ltbench_methods(self) -> list[MethodSpec]:
        """Return the class's spec."""
        return [self._spec]


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
    summary = (method.__doc__ or method.__name__).strip().splitlines()[0]
    try:
        spec = MethodSpec(method.name, f"{method.__module__}:{method.__name__}", summary, method.stages, method.reference)
    except (TypeError, ValueError) as error:
        raise UserError(f"{what}: {error}") from error
    if method.name in registry.methods:
        raise UserError(f"{what} must have a name that is not taken, got {method.name!r}")
    registry.add(_Session(spec), PluginInfo(method.name, "this session", "0"))
    return str(method.name)
