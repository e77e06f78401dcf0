"""Notebooks without a notebook: cells that are run in a module that came from no file."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

NAME = "session_of_a_test"


@contextmanager
def session() -> Iterator[ModuleType]:
    """A module that holds what is typed, as ``__main__`` does in a notebook."""
    module = ModuleType(NAME)
    sys.modules[NAME] = module
    try:
        yield module
    finally:
        del sys.modules[NAME]


def run_cell(module: ModuleType, text: str) -> None:
    """Run a cell as IPython does: its lines are kept for tracebacks."""
    name = f"<cell {hash(text)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), vars(module))
