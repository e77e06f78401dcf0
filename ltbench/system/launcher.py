"""The process that started this one, by its number.

It is read when ltbench is imported, before anything that takes long: loading torch takes seconds, and a launcher that is killed
within them gives its place to another process, which nobody would miss.
"""

from __future__ import annotations

import os

PID = 0


def _read() -> None:
    global PID
    PID = os.getppid()


_read()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_read)  # a notebook forks its ranks, long after the import
