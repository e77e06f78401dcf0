"""Who has which lease, as anybody can read it off the disk; see :mod:`ltbench.system.lease`."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ltbench.system.atomic import ABANDONED, disk_time
from ltbench.system.owner import Owner

EXPIRY = 60.0  # seconds without a sign of life after which an owner that nobody can look at counts as dead
GONE = (errno.ENOENT, errno.ESTALE)  # what a removed file is to one who still knows its name, on a local disk and on NFS


@dataclass(frozen=True)
class Holder:
    """Say who has a lease.

    Args:
        stamp: Of its last sign of life, in nanoseconds.
        silent: Seconds since then.
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


def holders(folder: Path) -> dict[str, Holder]:
    """Return who has which lease of a folder, by the names of the leases."""
    try:
        now = disk_time(folder)
    except OSError:  # not there, or only to be read
        now = time.time()
    found = {place.name: read_holder(place, now) for place in _places(folder) if not place.name.startswith(".")}
    return {name: holder for name, holder in found.items() if holder is not None}


def tidy(folder: Path) -> None:
    """Remove what killed processes left among leases, and the folder if nothing is in it."""
    with suppress(OSError):
        now = disk_time(folder)
        for place in _places(folder):
            holder = read_holder(place, now)
            if holder is None:
                with suppress(OSError):
                    place.rmdir()
            elif holder.owner.fate() == "gone" or holder.silent > ABANDONED:
                remove_owner(holder.path)
        folder.rmdir()


def duration(seconds: float) -> str:
    """Write a time span for people."""
    if seconds < 100:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def read_holder(place: Path, now: float) -> Holder | None:
    """Return who has a lease; None for nobody."""
    try:
        for path in place.iterdir():
            if not path.name.startswith("."):  # such as what NFS keeps of a file that is removed while it is read
                with path.open("rb") as file:  # opened, so that NFS asks for the present state
                    status = os.fstat(file.fileno())
                    owner = Owner.from_bytes(file.read())
                return Holder(path, owner, status.st_mtime_ns, now - status.st_mtime, now - place.stat().st_mtime)
    except OSError as error:
        if error.errno not in GONE:
            raise
    return None


def remove_owner(file: Path) -> None:
    """Remove an owner's file and the folder around it, unless the next owner's is there already."""
    with suppress(FileNotFoundError):
        file.unlink()
    with suppress(OSError):
        file.parent.rmdir()


def _places(folder: Path) -> list[Path]:
    """Return where leases are held or claimed."""
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
