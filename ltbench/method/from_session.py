"""Methods that a caller defined in a session of his own, without a plugin: registered under their names, and told apart by text.

A stage of such a method is stored like any other, so its key must change whenever the class does. Where the class stands in a
file, the file's hash says so. What was typed into a notebook has no file: there the text of the class is hashed, and the class
must not use anything else that was typed, for nothing would tell when that changed.
"""

from __future__ import annotations

import ast
import hashlib
import linecache
import symtable
import sys
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from ltbench.errors import UserError
from ltbench.registry.hookspecs import hookimpl
from ltbench.registry.specs import MethodSpec

if TYPE_CHECKING:
    from ltbench.registry.discovery import Registry


class _Session:
    """Be a plugin that offers one class.

    Args:
        spec: Of the class.
    """

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
        registry: That gets it.

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


def is_typed(kind: type[Any]) -> bool:
    """Tell whether a class was typed into a session: its module is there, and came from nowhere."""
    module = sys.modules.get(kind.__module__)
    return module is not None and getattr(module, "__file__", None) is None and getattr(module, "__spec__", None) is None


def typed_hash(kind: type[Any]) -> str:
    """Return the sha256 of the text of a class that was typed into a session.

    Args:
        kind: See :func:`is_typed`.

    Raises:
        UserError: If its text is not known, or it uses what else was typed, its base classes aside.
    """
    text = _text(kind)
    if text is None:
        raise UserError(f"method {kind.__name__} must be put into a file: nothing here tells its text")
    bases = {base.__name__ for base in kind.__mro__}  # which have hashes of their own
    for name in sorted(_globals_of(text) - bases):
        if _was_typed(vars(sys.modules[kind.__module__]).get(name), kind.__module__):
            raise UserError(f"method {kind.__name__} uses {name!r} from outside its class: put both into a file, so that a "
                            "change of either shows")
    return hashlib.sha256(text.encode()).hexdigest()


def _text(kind: type[Any]) -> str | None:
    """Return the text of a class, from the lines that the session keeps for tracebacks."""
    files = [value.__code__.co_filename for value in vars(kind).values() if isinstance(value, FunctionType)]
    for file in files:
        lines = linecache.getlines(file)
        try:
            parsed = ast.parse("".join(lines))
        except SyntaxError:  # a cell with a command of the notebook's own
            continue
        for node in reversed(parsed.body):
            if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
                return ast.unparse(node)
    return None


def _globals_of(text: str) -> set[str]:
    """Return the names that a class looks up outside of itself."""
    found: set[str] = set()
    tables = [symtable.symtable(text, "class", "exec")]
    while tables:
        table = tables.pop()
        found |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced() and not symbol.is_local()}
        tables += table.get_children()
    return found


def _was_typed(value: object, module: str) -> bool:
    """Tell whether a value of a session came from it: neither a module nor what another module defines."""
    if value is None or isinstance(value, ModuleType):
        return False
    return getattr(value, "__module__", module) == module
