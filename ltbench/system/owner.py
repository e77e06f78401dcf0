"""Which process something belongs to, and whether it still runs; nothing that is written down names a machine."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

Fate = Literal["running", "gone", "unknown"]


@dataclass(frozen=True)
class Owner:
    """Identify a process.

    Args:
        pid: Its number; 0 where nobody knows.
        started: When it started, in the system's ticks: numbers are used again. None where the system does not say.
        machine: A digest that says which boot of which machine the number counts on; None where nobody knows.
    """

    pid: int = 0
    started: int | None = None
    machine: str | None = None
    what: str = ""

    def to_bytes(self) -> bytes:
        """Return the owner as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Owner:
        """Read what :meth:`to_bytes` gave; damaged content is an owner of whom nothing is known."""
        with suppress(ValueError):
            found = json.loads(content)
            if isinstance(found, Mapping) and _fits(found):
                return cls(found["pid"], found["started"], found["machine"], found["what"])
        return cls()

    @property
    def here(self) -> bool:
        """Whether it is a process that this machine can look at."""
        return self.machine is not None and self.machine == _machine()

    def fate(self) -> Fate:
        """Tell whether the process runs. One that is stopped, or on another machine, may or may not go on: unknown."""
        if not self.here:
            return "unknown"
        try:
            os.kill(self.pid, 0)  # also where other users' processes are hidden from /proc
        except ProcessLookupError:
            return "gone"
        except PermissionError:
            pass
        try:
            state, started = _status(self.pid)
        except (OSError, ValueError, IndexError):
            return "unknown"
        if started != self.started or state in "ZX":
            return "gone"
        return "unknown" if state in "Tt" else "running"


def this_process(what: str) -> Owner:
    """Return the process that asks."""
    started = None
    with suppress(OSError, ValueError, IndexError):
        started = _status(os.getpid())[1]
    return Owner(os.getpid(), started, _machine(), what)


def _status(pid: int) -> tuple[str, int]:
    """Return a process's state and start; its name, in parentheses, may hold anything."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return fields[0], int(fields[19])


@cache
def _machine() -> str | None:
    """Return a digest of this boot of this machine and of the space that process numbers count in: containers have their own.

    The identifier of a boot is random and new at every start: nothing leads from its digest to a machine.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return hashlib.sha256(f"{boot} {os.readlink('/proc/self/ns/pid')}".encode()).hexdigest()[:16]
    except OSError:  # such as a system that is not Linux: leases there end by their age alone
        return None


def _fits(found: Mapping[str, Any]) -> bool:
    return (isinstance(found.get("pid"), int) and found["pid"] > 0 and isinstance(found.get("what"), str)
            and isinstance(found.get("started"), (int, type(None))) and isinstance(found.get("machine"), (str, type(None))))
