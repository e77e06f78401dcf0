"""Processes that take leases, for tests of several at once.

Usage: lease_process.py VERB FOLDER ARGUMENT...; times are short: a stamp every 0.1 s, overdue after 0.5 s.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

from ltbench.system import lease
from ltbench.system.lease import Lease

lease.BEAT, lease.EXPIRY, lease.WATCH = 0.1, 0.5, 0.2


def say(*words: object) -> None:
    print(*words, flush=True)


def hold(folder: Path, expiry: str = "0.5") -> None:
    """Hold until stdin ends, then make sure; others are overdue after ``expiry`` seconds."""
    lease.EXPIRY = float(expiry)
    with Lease(folder, "one", "holding it").held() as held:
        say("held")
        sys.stdin.read()
        say("confirmed" if held.confirm() else "lost")


def deaf(folder: Path) -> None:
    """Hold, and give no other thread a turn for 0.8 s."""
    with Lease(folder, "one", "holding it").held() as held:
        say("held")
        ctypes.PyDLL(None).usleep(800_000)  # PyDLL calls without releasing the interpreter's lock
        say("confirmed" if held.confirm() else "lost")


def race(folder: Path, rounds: str) -> None:
    """Take the lease of every round in turn, note it, and hold it for a moment."""
    say("ready")
    for number in range(int(rounds)):
        while not (folder / f"go-{number}").exists():
            time.sleep(0.001)
        with Lease(folder / "leases", f"round-{number}", "racing").held():
            for word in ("in", "out"):
                with (folder / f"log-{number}").open("a") as log:
                    log.write(f"{word} {os.getpid()}\n")
                time.sleep(0.002)


if __name__ == "__main__":
    {"hold": hold, "deaf": deaf, "race": race}[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
