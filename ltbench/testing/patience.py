"""Patience with processes by what they do, not by the clock: a busy machine may let them work for a second in a minute.

A process that waits for what never comes sleeps; one that is not let work does not; and one that goes round in circles uses up
its share of processor time. Where the system does not say what processes do (``/proc``), the clock has to stand for it.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_IDLE = 60.0  # seconds that processes which can go on never sleep through together
_LOOK = 1.0  # seconds of them that one look at most stands for: whoever looks may not be let work either
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
        self._begun = self._looked = time.monotonic()
        self._worked = self._slept = 0.0
        self._idle = _IDLE

    def shorten(self) -> None:
        """Have little patience from now on: one process has failed, and the others only have to notice it and to say so."""
        self._begun, self._slept = time.monotonic(), 0.0
        self._worked = sum(_work_of(process.pid) for process in self._processes)
        self._processor, self._idle = self._worked + _LAST_PROCESSOR, _LAST_IDLE

    def ended(self) -> bool:
        """Tell whether the processes have used up their time, or stand still."""
        now = time.monotonic()
        if not _TOLD:
            return now - self._begun > _CLOCK * self._processor
        worked = sum(_work_of(process.pid) for process in self._processes)
        if abs(worked - self._worked) > _NOTHING:  # less, where one of them has ended
            self._worked, self._slept = worked, 0.0
        elif not any(_wants_to_work(process.pid) for process in self._processes):
            self._slept += min(now - self._looked, _LOOK)
        self._looked = now
        return worked > self._processor or self._slept > self._idle


_TOLD = Path("/proc/self/stat").exists()


def _work_of(pid: int) -> float:
    """Return the processor time of a process, of those it has waited for and of those it has started, in seconds."""
    with suppress(OSError, ValueError, IndexError):  # it may end at any moment
        own = sum(int(ticks) for ticks in _fields(Path(f"/proc/{pid}/stat"))[11:15]) / os.sysconf("SC_CLK_TCK")
        return own + sum(map(_work_of, _children(pid)))
    return 0.0


def _wants_to_work(pid: int) -> bool:
    """Tell whether a thread of a process, or of one that it has started, runs, or would if it were let, or waits for a disk."""
    with suppress(OSError, ValueError, IndexError):
        states = {_fields(file)[0] for file in Path(f"/proc/{pid}/task").glob("*/stat")}
        return bool(states & {"R", "D"}) or any(map(_wants_to_work, _children(pid)))
    return False


def _fields(stat: Path) -> list[str]:
    """Return what stands after a name, which may hold anything."""
    return stat.read_text().rpartition(")")[2].split()


def _children(pid: int) -> list[int]:
    return [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
