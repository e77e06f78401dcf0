"""Telling observers what happens, so that none of them can hurt a run."""

from __future__ import annotations

import copy
import sys
from typing import Any

import pluggy


class Observers:
    """Call the event hooks of every plugin; one that raises is reported once and then left out.

    Observers get copies, so that nothing they do to a record reaches the file.

    Args:
        active: False on all processes but the main one.
    """

    def __init__(self, manager: pluggy.PluginManager, *, active: bool = True) -> None:
        self._manager = manager
        self._active = active
        self._silenced: set[str] = set()

    def notify(self, hook: str, **arguments: Any) -> None:
        """Call one hook."""
        if not self._active:
            return
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            if implementation.plugin_name in self._silenced:
                continue
            try:
                implementation.function(*(copy.deepcopy(arguments[name]) for name in implementation.argnames))
            except (Exception, SystemExit) as error:  # an observer must never end a run
                self._silenced.add(implementation.plugin_name)
                print(f"warning: observer {implementation.plugin_name} raised {type(error).__name__}: {error}; it is left out",
                      file=sys.stderr)
