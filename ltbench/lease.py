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
from dataclasses import dataclass
from pathlib import Path

from ltbench.atomic import ABANDONED, disk_time
from ltbench.errors import UserError
from ltbench.owner import Owner, this_process

BEAT = 5.0  # seconds between two stamps
EXPIRY = 60.0  # without a stamp, after which a lease may be taken over,
WATCH = 15.0  # once its taker has seen none for so long itself: on some disks stamps are of the clocks of the writers
_LOOKS = 5.0  # seconds that one look counts for at most: the disk itself may have been away between two
_PATIENCE = 1.0  # seconds of waiting that nobody needs to hear of
_PAUSES = 0.02, 2.0  # seconds between two tries, at first and at most


@dataclass(frozen=True)
class Holder:
    """Say who has a lease.

    Args:
        path: The owner's file.
        owner: The process.
        stamp: Of its last sign of life, in nanoseconds.
        silent: Seconds since then.
        held: Seconds since it took the lease.
    """

    path: Path
    owner: Owner
    stamp: int
    silent: float
    held: float

    @property
    def dead(self) -> bool:
        """Whether it is known to be gone, or has been silent for too long."""
        return (fate := self.owner.fate()) == "gone" or (fate == "unknown" and self.silent > EXPIRY)

    def __str__(self) -> str:
        where = "of this machine" if self.owner.here else "of another machine"
        return f"process {self.owner.pid or 'unknown'} {where} has had it for {duration(self.held)}"


class Lease:
    """Take, keep and give back the right to do one thing.

    Args:
        folder: Of leases; made if it does not exist.
        name: Of this one: a plain file name that does not begin with a point.
        what: Is done, for those who wait.
    """

    def __init__(self, folder: Path, name: str, what: str) -> None:
        self.what = what
        self._folder, self._place = folder, folder / name
        self._mine: Path | None = None
        self._process = 0
        self._stop = threading.Event()
        self.holder: Holder | None = None  # who was in the way of the last attempt
        self._watched = self._looked = 0.0

    def attempt(self) -> bool:
        """Take the lease if nobody has it.

        Raises:
            UserError: If the folder cannot be written.
        """
        number = secrets.token_hex(8)
        claim = self._folder / f".{self._place.name}.{number}"
        try:
            now = self._prepare(claim, claim / number)
            for _ in range(2):  # again where an owner that is no more was in the way
                if _moved(claim, self._place, number):
                    self._begin(self._place / number)
                    return True
                if not self._clear(now):
                    return False
            return False
        except OSError as error:
            raise UserError(f"the folder {self._folder} must be writable: {error.strerror}") from error
        finally:
            with suppress(OSError):
                _remove(claim / number)

    def wait(self) -> None:
        """Take the lease as soon as it can be had; a wait of more than a moment is told on stderr, once.

        Raises:
            UserError: If the folder cannot be written.
        """
        started, pause, told = time.monotonic(), _PAUSES[0], False
        while not self.attempt():
            if not told and self.holder and time.monotonic() - started > _PATIENCE:
                print(f"waiting for {self.what}: {self.holder}", file=sys.stderr, flush=True)
                told = True
            time.sleep(pause)
            pause = min(1.5 * pause, _PAUSES[1])

    @contextmanager
    def held(self) -> Iterator[Lease]:
        """Hold the lease, after waiting for it, while the block runs.

        Raises:
            UserError: If the folder cannot be written.
        """
        self.wait()
        try:
            yield self
        finally:
            self.release()

    def confirm(self) -> bool:
        """Make sure of the lease before something is published; return whether nobody else has had it in between.

        A process that was suspended for long may have lost it: then it waits for whoever has it now.

        Raises:
            UserError: If the folder cannot be written.
        """
        assert self._mine is not None, "only a lease that was taken can be confirmed"
        try:
            os.utime(self._mine)
            return True
        except FileNotFoundError:
            print(f"{self.what}: this process gave no sign of life for {EXPIRY:.0f} s, and another one went on with it",
                  file=sys.stderr, flush=True)
        except OSError as error:
            raise UserError(f"the folder {self._folder} must be writable: {error.strerror}") from error
        self._stop.set()
        self.wait()
        return False

    def release(self) -> None:
        """Give the lease back; in a forked child, nothing is done."""
        if self._mine is not None and self._process == os.getpid():
            self._stop.set()
            _remove(self._mine)
            self._mine = None

    def _prepare(self, claim: Path, file: Path) -> float:
        """Write the file that says whose the lease is to be; return the disk's time."""
        for last in (False, False, True):
            try:
                claim.mkdir(parents=True, exist_ok=True)
                file.write_bytes(this_process(self.what).to_bytes())
                break
            except FileNotFoundError:  # an empty folder was tidied away in this moment
                if last:
                    raise
        return file.stat().st_mtime

    def _begin(self, mine: Path) -> None:
        self._mine, self._process, self._stop = mine, os.getpid(), threading.Event()
        self.holder = None
        threading.Thread(target=_beat, args=(mine, self._stop), name="lease", daemon=True).start()

    def _clear(self, now: float) -> bool:
        """Remove an owner that is dead or overdue; return whether the place is free now."""
        holder = _read(self._place, now)
        if holder is not None and not self._overdue(holder):
            return False
        if holder is not None:
            _remove(holder.path)
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


def holders(folder: Path) -> dict[str, Holder]:
    """Return who has which lease of a folder, by the names of the leases.

    Args:
        folder: Of leases.
    """
    try:
        now = disk_time(folder)
    except OSError:  # not there, or only to be read
        now = time.time()
    found = {place.name: _read(place, now) for place in _places(folder) if not place.name.startswith(".")}
    return {name: holder for name, holder in found.items() if holder is not None}


def tidy(folder: Path) -> None:
    """Remove what killed processes left among leases, and the folder if nothing is in it.

    Args:
        folder: Of leases.
    """
    with suppress(OSError):
        now = disk_time(folder)
        for place in _places(folder):
            holder = _read(place, now)
            if holder is None:
                with suppress(OSError):
                    place.rmdir()
            elif holder.owner.fate() == "gone" or holder.silent > ABANDONED:
                _remove(holder.path)
        folder.rmdir()


def duration(seconds: float) -> str:
    """Write a time span for people.

    Args:
        seconds: How long; below 0 where a stamp lies in the future.
    """
    if seconds < 100:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _beat(mine: Path, stop: threading.Event) -> None:
    """Stamp the file of a lease until it is given back or lost."""
    while not stop.wait(BEAT):
        try:
            os.utime(mine)
        except FileNotFoundError:
            return
        except OSError:  # the disk is away: it may come back
            continue


def _moved(claim: Path, place: Path, number: str) -> bool:
    try:
        os.rename(claim, place)
        return True
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise
        return (place / number).is_file()  # of a request that NFS sent twice, the first may have succeeded


def _read(place: Path, now: float) -> Holder | None:
    """Return who is in a place; None for nobody."""
    try:
        for path in place.iterdir():
            if not path.name.startswith("."):  # such as what NFS keeps of a file that is removed while it is read
                with path.open("rb") as file:  # opened, so that NFS asks for the present state
                    status = os.fstat(file.fileno())
                    owner = Owner.from_bytes(file.read())
                return Holder(path, owner, status.st_mtime_ns, now - status.st_mtime, now - place.stat().st_mtime)
    except FileNotFoundError:
        pass
    return None


def _places(folder: Path) -> list[Path]:
    """Return where leases are held or claimed."""
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def _remove(file: Path) -> None:
    """Remove an owner's file and the folder around it, unless the next owner's is there already."""
    with suppress(FileNotFoundError):
        file.unlink()
    with suppress(OSError):
        file.parent.rmdir()
