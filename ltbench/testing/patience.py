"""Patience with processes by what they do, not by the clock: a busy machine may let them work for a second in a minute.

A process that waits for what never comes does nothing; one that goes round in circles uses up its share of processor time. Where
the system does not say what processes do (``/proc``), the clock has to stand for it.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_IDLE = 60.0  # seconds of the clock in which processes that can go on do something, however little they are let
_NOTHING = 0.1  # seconds of processor time in it: what threads that only wait take
_CLOCK = 10.0  # times as long as on a processor of their own
_LAST_IDLE, _LAST_PROCESSOR = 20.0, 10.0  # seconds of either for processes that only have to end; they need tenths


class Patience:
    """Watch processes, and all that they have started.

    Args:
        processor: Seconds of processor time that they may use together.
    """

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]], processor: float) -> None:
        self._processes, self._processor = processes, processor
        self._begun = self._changed = time.monotonic()
        self._worked, self._idle = 0.0, _IDLE

    def shorten(self) -> None:
        """Have little patience from now on: one process has failed, and the others only have to notice it and to say so."""
        self._begun = self._changed = time.monotonic()
        self._worked = sum(_work_of(process.pid) for process in self._processes)
        self._processor, self._idle = self._worked + _LAST_PROCESSOR, _LAST_IDLE

    def ended(self) -> bool:
        """Tell whether the processes have used up their time, or stand still."""
        now = time.monotonic()
        if not _TOLD:
            return now - self._begun > _CLOCK * self._processor
        worked = sum(_work_of(process.pid) for process in self._processes)
        if abs(worked - self._worked) > _NOTHING:  # less, where one of them has ended
            self._worked, self._changed = worked, now
        return worked > self._processor or now - self._changed > self._idle


_TOLD = Path("/proc/self/stat").exists()


def _work_of(pid: int) -> float:
    """Return the processor time of a process, of those it has waited for and of those it has started, in seconds."""
    with suppress(OSError, ValueError, IndexError):  # it may end at any moment
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = [child for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
        own = sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")
        return own + sum(_work_of(int(child)) for child in children)
    return 0.0
