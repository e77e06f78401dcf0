"""Whether a process still runs: on a busy machine its number comes again within a test."""

from __future__ import annotations

from pathlib import Path


def started_at(pid: int) -> str | None:
    """Return when a process began, in ticks since the system did; None where it does not run, or has ended unwaited for."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else fields[18]


def alive(pid: int, begun: str | None) -> bool:
    """Tell whether a process runs, and not another one of its number."""
    return begun is not None and started_at(pid) == begun
