"""Leases: one process at a time does a thing, also where several machines share a disk, and a killed one blocks nobody.

A lease is a folder that holds one file, named by a random number of its owner's:

- It is taken by renaming a folder that holds the owner's file onto its place, which works only while nothing, or an empty folder,
  is there: of any number of takers one succeeds, on a local disk and on NFS, and the file is never half written.
- A thread of the owner stamps the file every few seconds. What a method does without giving other threads a turn may take up to a
  minute. Forked children have no such thread, and keep nothing alive.
- An owner that died on this machine is seen to be dead. Any other one is overdue after a minute without a stamp. Its file is then
  removed by its own name, so that no waiter, however late, can remove the file of the next owner.
- An owner that was suspended finds its file gone, before it publishes anything: :meth:`Lease.confirm`.
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ltbench.errors import UserError
from ltbench.system.atomic import ABANDONED
from ltbench.system.holder import EXPIRY, GONE, Holder, read_holder, remove_owner
from ltbench.system.owner import this_process

BEAT = 5.0  # seconds between two stamps
WATCH = 15.0  # seconds without a stamp that a taker must have watched itself: on some disks writers stamp by their own clocks
_LOOKS = 5.0  # seconds of watching that the time between two looks counts for at most: the disk may have been away meanwhile
_TIDIED = 100  # times that a folder may be tidied away just after it was made: three were too few beside a busy tidier
_PATIENCE = 1.0  # seconds of waiting that nobody needs to hear of
_PAUSES = 0.02, 2.0  # seconds between two tries, at first and at most


class _Heart:
    """Stamp the files of all leases of this process, in one thread: starting one takes longer than all else about a lease."""

    def __init__(self) -> None:
        self._files: set[Path] = set()
        self._process = 0

    def keep(self, file: Path) -> None:
        """Stamp a file from now on."""
        if self._process != os.getpid():  # the first one, or the first in a forked child, which has no thread and no lease
            self._files, self._process = set(), os.getpid()
            threading.Thread(target=self._beat, name="leases", daemon=True).start()
        self._files.add(file)

    def stop(self, file: Path) -> None:
        """Stamp a file no longer."""
        self._files.discard(file)

    def _beat(self) -> None:
        while True:
            time.sleep(BEAT)
            for file in tuple(self._files):
                with suppress(OSError):  # lost, which its owner will see; or the disk is away, and may come back
                    os.utime(file)


_heart = _Heart()


class Lease:
    """Take, keep and give back the right to do one thing; a folder that cannot be written is a :class:`UserError`.

    Args:
        folder: Of leases; made if it does not exist.
        name: Of this one: a plain file name that does not begin with a point.
    """

    def __init__(self, folder: Path, name: str, what: str) -> None:
        self.what = what
        self._folder, self._place = folder, folder / name
        self._mine: Path | None = None
        self._process = 0
        self.holder: Holder | None = None  # who was in the way of the last attempt
        self._watched = self._looked = 0.0

    def attempt(self) -> bool:
        """Take the lease if nobody has it."""
        number = secrets.token_hex(8)
        claim = self._folder / f".{self._place.name}.{number}"
        try:
            now = self._prepare(claim, claim / number)
            for _ in range(2):  # again where an owner that is no more was in the way
                if _moved(claim, self._place, number):
                    self._begin(self._place / number)
                    return True
                if not self._clear(now):
                    break
        except OSError as error:
            raise UserError(f"the folder {self._folder} must be writable: {error.strerror}") from error
        finally:
            if self._mine is None:
                with suppress(OSError):
                    remove_owner(claim / number)
        return False

    def wait(self) -> None:
        """Take the lease as soon as it can be had; a wait of more than a moment is told on stderr, once."""
        started, pause, told = time.monotonic(), _PAUSES[0], False
        while not self.attempt():
            if not told and self.holder and time.monotonic() - started > _PATIENCE:
                print(f"waiting for {self.what}: {self.holder}", file=sys.stderr, flush=True)
                told = True
            time.sleep(pause)
            pause = min(1.5 * pause, _PAUSES[1])

    @contextmanager
    def held(self) -> Iterator[Lease]:
        """Hold the lease, after waiting for it, while the block runs."""
        self.wait()
        try:
            yield self
        finally:
            self.release()

    def confirm(self) -> bool:
        """Make sure of the lease before something is published; return whether nobody else has had it in between.

        A process that was suspended for long may have lost it: then it waits for whoever has it now.
        """
        assert self._mine is not None, "only a lease that was taken can be confirmed"
        try:
            os.utime(self._mine)
            return True
        except OSError as error:
            if error.errno not in GONE:
                raise UserError(f"the folder {self._folder} must be writable: {error.strerror}") from error
        print(f"{self.what}: this process gave no sign of life for {EXPIRY:.0f} s, and another one went on with it",
              file=sys.stderr, flush=True)
        _heart.stop(self._mine)
        self._mine = None
        self.wait()
        return False

    def release(self) -> None:
        """Give the lease back; in a forked child, nothing is done."""
        if self._mine is not None and self._process == os.getpid():
            _heart.stop(self._mine)
            remove_owner(self._mine)
            self._mine = None

    def _prepare(self, claim: Path, file: Path) -> float:
        """Write the file that says whose the lease is to be; return the disk's time."""
        for last in (*[False] * (_TIDIED - 1), True):  # an empty folder may be tidied away in this moment
            try:
                claim.mkdir(parents=True, exist_ok=True)
                file.write_bytes(this_process(self.what).to_bytes())
                break
            except OSError as error:
                if last or error.errno not in GONE:
                    raise
        return file.stat().st_mtime

    def _begin(self, mine: Path) -> None:
        self._mine, self._process, self.holder = mine, os.getpid(), None
        _heart.keep(mine)

    def _clear(self, now: float) -> bool:
        """Remove an owner that is dead or overdue; return whether the place is free now."""
        holder = read_holder(self._place, now)
        if holder is None:
            with suppress(OSError):  # taken again, or not there
                self._place.rmdir()
        elif self._overdue(holder):
            remove_owner(holder.path)
        else:
            return False
        return True

    def _overdue(self, holder: Holder) -> bool:
        fate = holder.owner.fate()
        if fate != "unknown":
            self.holder = holder
            return fate == "gone"
        now = time.monotonic()
        if self.holder is None or (self.holder.path, self.holder.stamp) != (holder.path, holder.stamp):
            self._watched = 0.0
        else:
            self._watched += min(now - self._looked, _LOOKS)
        self.holder, self._looked = holder, now
        return (holder.silent > ABANDONED or self._watched > EXPIRY  # the latter also where a stamp lies in the future
                or (holder.silent > EXPIRY and self._watched > WATCH))


def _moved(claim: Path, place: Path, number: str) -> bool:
    try:
        os.rename(claim, place)
        return True
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, *GONE):
            raise
        return (place / number).is_file()  # of a request that NFS sent twice, the first may have succeeded
