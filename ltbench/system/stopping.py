"""Ending when a scheduler says so: what is stopped leaves in order, and the same command goes on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# What schedulers send before they kill: at a preemption, a cancellation, or some time before the end of the time limit.
_NAMES = ("SIGTERM", "SIGUSR1", "SIGUSR2")
SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
_ON_ITS_WAY = 0.3  # seconds


class Stopped(KeyboardInterrupt):
    """Report that a signal asked the process to end.

    It stops at once, wherever it is, as at Ctrl-C: the time between such a signal and the kill that follows may be shorter than
    an epoch. The checkpoint of the last epoch is there already.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


CODES = frozenset(128 + number for number in SIGNALS)


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise :class:`Stopped` when one of the signals arrives.

    Signals that follow are ignored, so that leaving in order is not disturbed. The ranks of one process group are left alone: one
    that waits for the others could not run a handler of Python's, and whoever started them ends all of them anyway.
    """
    if threading.current_thread() is not threading.main_thread() or os.environ.get("WORLD_SIZE", "1") != "1":
        yield
        return
    before = {number: signal.signal(number, _stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def let_arrive() -> None:
    """Give a signal that is on its way the time to arrive.

    Schedulers signal all processes of a job at once, and the death of a helper may be seen a moment before the signal itself.
    """
    time.sleep(_ON_ITS_WAY)


def _stop(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    if hasattr(signal, "SIGCHLD"):
        # torch raises an error when a decoding process dies. Now all of them do, and that error would take the place of this one.
        signal.signal(signal.SIGCHLD, _pass)
    raise Stopped(number)


def _pass(number: int, frame: FrameType | None) -> None:
    """Do nothing; a signal that Python is about to handle must not find its handler gone."""
