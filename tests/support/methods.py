"""Installed methods by name: presets have no class to import."""

from __future__ import annotations

import functools
from typing import Any

from ltbench.registry.discovery import Registry, load_registry

# Of the user's own: these are tried with one in tests of theirs, and left out where all methods are tried as they are.
NEED_A_FILE = frozenset({"word2vec"})


@functools.cache
def _registry() -> Registry:
    return load_registry()


def named(name: str) -> Any:
    """Return the class of an installed method."""
    return _registry().methods.get(name).load()
