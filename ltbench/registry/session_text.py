"""What tells classes apart that were typed into a session: their text.

A stage of a method is stored under a key that must change whenever its class does. Where the class stands in a file, the file's
hash says so. What was typed into a notebook has no file: there the text of the class is hashed, and the class must not use
anything else that was typed, for nothing would tell when that changed.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import linecache
import symtable
import sys
from types import FunctionType, ModuleType
from typing import Any

from ltbench.errors import UserError


def is_typed(kind: type[Any]) -> bool:
    """Tell whether a class was typed into a session: its module is there, and came from nowhere."""
    module = sys.modules.get(kind.__module__)
    return module is not None and getattr(module, "__file__", None) is None and getattr(module, "__spec__", None) is None


def typed_hash(kind: type[Any]) -> str:
    """Return the sha256 of the text of a class that was typed into a session.

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
    functions = [inspect.unwrap(value) for value in vars(kind).values() if isinstance(value, FunctionType)]
    files = [function.__code__.co_filename for function in functions]
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
