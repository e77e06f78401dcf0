"""Ending all processes of a run when one of them ends, with one message that says which and why.

A process may wait in a collective for days, legitimately: another job trains the stage that this one needs. So no timeout can
tell that a process is gone. Instead a thread of every process lets the others know that it is there, looks for a report that one
failed, and sees whether the launcher still lives. What was finished is kept: the same command goes on from there.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from torch.distributed.distributed_c10d import Store, _get_default_store

from ltbench.errors import UserError, brief
from ltbench.system import launcher

_PERIOD = 1.0  # seconds between looks
_GATHERING = 1800.0  # seconds within which all processes must have come
_SILENT = 120.0  # seconds without a sign of life after which a process counts as gone; some library calls hold up all threads
_ANSWER = timedelta(seconds=60)  # of the store
_REPORT = "ltbench/report"
_LOST = ("closed by peer", "reset by peer", "broken pipe", "remote process exited")  # gloo's words, and NCCL's
_GOES_ON = "; the same command goes on from the last finished epoch"
_LAUNCHER_GONE = "the launcher is gone"


class Failed(Exception):
    """Report that a run failed on this process, and not alike on all: they cannot go on together."""


class Watch:
    """Watch the launcher and, once they have met, the other processes of the run.

    Args:
        end: Called with an exit code from the watching thread.
    """

    def __init__(self, rank: int, world: int, launcher: int, end: Callable[[int], None] = os._exit) -> None:
        self._rank, self._world, self._launcher, self._end = rank, world, launcher, end
        self._started = time.monotonic()
        self._store: Store | None = None
        self._heard: dict[int, tuple[bytes, float]] = {}  # last sign of life, and when it was new
        self._left = threading.Event()
        self._deciding, self._ending = threading.Lock(), False  # who ends this process: one thread, with one line
        self._thread = threading.Thread(target=self._run, name="ltbench-watch", daemon=True)
        self._thread.start()

    def meet(self) -> None:
        """Begin to watch the others, who are all there now."""
        store = _get_default_store().clone()  # a connection of its own: the main thread may wait on the other one
        store.set_timeout(_ANSWER)
        self._store = store

    def leave(self) -> None:
        """Stop watching; where the watching thread has begun to end this process, wait for that."""
        with self._deciding:
            self._left.set()
        if self._ending:
            self._thread.join()

    def report(self, message: str) -> bool:
        """Tell the others that this process ends; return whether it is the first to end."""
        if self._store is None:
            return True
        try:
            store = _get_default_store().clone()
            store.set_timeout(timedelta(seconds=5))
            return store.compare_set(_REPORT, "", message) == message.encode()
        except RuntimeError:  # the store went with its process
            return True

    def _run(self) -> None:
        beat = 0
        while not self._left.wait(_PERIOD):
            beat += 1
            try:
                problem = self._look(beat)
            except RuntimeError:
                problem = "the process that kept the others together is gone"
            with self._deciding:
                if problem is None or self._left.is_set():
                    continue
                self._ending = True
            if problem:
                tell(self._rank, self._world, f"{problem}{_GOES_ON}")
            self._end(1)

    def _look(self, beat: int) -> str | None:
        """Return what is wrong: None for nothing, nothing for what another process has said already."""
        if os.getppid() != self._launcher:
            return _LAUNCHER_GONE
        if self._store is None:
            late = time.monotonic() - self._started > _GATHERING
            return f"not all {self._world} processes came within {_GATHERING / 60:.0f} minutes" if late else None
        self._store.set(_name(self._rank), str(beat))
        if self._store.check([_REPORT]):
            return ""
        silent = self._silent(self._store)
        if silent is None:
            return None
        problem = f"rank {silent} has given no sign of life for {_SILENT:.0f} seconds"
        return problem if self.report(problem) else ""

    def _silent(self, store: Store) -> int | None:
        """Return a process that was not heard of for too long: the first watches all others, and these the first."""
        now = time.monotonic()
        for rank in range(1, self._world) if self._rank == 0 else (0,):
            sign = store.get(_name(rank)) if store.check([_name(rank)]) else b""
            last, since = self._heard.setdefault(rank, (sign, now))
            if sign != last:
                self._heard[rank] = sign, now
            elif now - since > _SILENT:
                return rank
        return None


def _name(rank: int) -> str:
    return f"ltbench/alive/{rank}"


def tell(rank: int, world: int, problem: str) -> None:
    """Print the one line about the end of a run."""
    print(f"ltbench: rank {rank} of {world}: {problem}", file=sys.stderr, flush=True)


@contextmanager
def watching(*, debug: bool) -> Iterator[Watch | None]:
    """End this process, and with it all others, where what is done within raises.

    Yields:
        The watch; None for a process that is alone.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if world == 1:
        yield None
        return
    watch = Watch(rank, world, launcher.PID)
    try:
        yield watch
    except BaseException as error:
        watch.leave()  # it would take this process's own report for another's, and end it before it has said why
        try:
            # A process that noticed first has ended, and this one lost it before its own look.
            problem = _LAUNCHER_GONE if is_lost(error.__cause__ or error) and os.getppid() != launcher.PID else reason(error)
            if watch.report(problem):
                tell(rank, world, problem if isinstance(error, UserError) else f"{problem}{_GOES_ON}")
                if debug:
                    traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(2 if isinstance(error, UserError) else 1)  # leaving in order would wait for the others
    watch.leave()


def is_lost(error: BaseException) -> bool:
    """Tell whether an error says that another process can no longer be reached."""
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _LOST)


def reason(error: BaseException) -> str:
    """Return in one line why a process ends."""
    if is_lost(error.__cause__ or error):
        return "another process is gone, killed or out of memory (the launcher or the system's log says which)"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return str(error).splitlines()[0] if isinstance(error, (UserError, Failed)) and str(error) else brief(error)
