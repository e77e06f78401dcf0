"""Launch the program as several ranks, many times, and make some of them end; one import of torch serves all of them.

Usage: rank_driver.py JSON ARGUMENT..., where JSON lists the attempts, each {"world": N} with one of
  "fault": [rank, step, kind], for a rank (-1: all) that raises ("error"), has no memory ("memory"), gets SIGKILL ("kill"), or
    whose launcher gets it ("launcher");
  "kill": [who, seconds], for SIGKILL from outside, of a rank or (-1) of the launcher, so long after the start, if it still runs;
and perhaps
  "patience": seconds that the launcher lets the other ranks be when one has failed (default 0.1);
  "orphans": true, to wait until no rank is left.
A launcher is a process that forks the ranks, waits, and ends the others when one has failed, as torchrun does. For every attempt
a line is printed: the exit code of the launcher, the seconds that it lived, and those that ranks lived on. The last line says how
many ranks of all attempts are left.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any

import sklearn.datasets
import torch
import torch._dynamo  # every optimizer imports it, which takes seconds

from ltbench.cli.main import main
from ltbench.running import runner
from ltbench.system import launcher
from ltbench.testing.processes import free_port
from ltbench.training import agreement
from ltbench.training.loop import Loop
from ltbench.training.watch import Watch
from tests.support.alive import alive, started_at

_POLL = 0.02


def arm(rank: int, step: int, kind: str) -> None:
    """Let a rank fail at a step."""
    taken, real = 0, Loop._step
    if rank < 0:
        agreement._MEETING = 600.0  # the last one may come late

    def counted(self: Loop, parts: Any) -> Any:
        nonlocal taken
        taken += 1
        if taken == step and rank in (-1, int(os.environ["RANK"])):
            if kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if kind == "launcher":
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(3600)  # far longer than it takes to notice
            raise MemoryError if kind == "memory" else ArithmeticError("as planned")
        return real(self, parts)

    Loop._step = counted  # type: ignore[method-assign]


def fork_rank(rank: int, world: int, port: int, fault: list[Any] | None, arguments: list[str]) -> int:
    here, child = os.getpid(), os.fork()
    if child == 0:
        launcher.PID = here  # which may be killed before this process has run
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world), LOCAL_WORLD_SIZE=str(world),
                          MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        if fault:
            arm(*fault)
        os._exit(main(arguments))
    return child


def launch(world: int, fault: list[Any] | None, patience: float, told: int, arguments: list[str]) -> int:
    """Be the launcher; return its exit code."""
    port = free_port()
    running = {fork_rank(rank, world, port, fault, arguments): rank for rank in range(world)}
    os.write(told, json.dumps(list(running)).encode() + b"\n")
    failed: float | None = None
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        running.pop(pid, None)
        if status and failed is None:
            failed = time.monotonic()
        if failed is not None and time.monotonic() - failed > patience:
            for other in running:
                os.kill(other, signal.SIGTERM)
        time.sleep(_POLL)
    return int(failed is not None)


def attempt(world: int, arguments: list[str], fault: list[Any] | None = None, kill: list[Any] | None = None,
            patience: float = 0.1, orphans: bool = False) -> dict[str, float]:
    read, write = os.pipe()
    started = time.monotonic()
    launching = os.fork()
    if launching == 0:
        os._exit(launch(world, fault, patience, write, arguments))
    os.close(write)
    with os.fdopen(read) as told:
        ranks = json.loads(told.readline())
    begun = {pid: started_at(pid) for pid in ranks}  # on a busy machine their numbers come again before all attempts are over
    left.extend(begun.items())
    ended, status = 0, 0
    while not ended:
        ended, status = os.waitpid(launching, os.WNOHANG)
        if kill and not ended and time.monotonic() - started > kill[1]:
            with suppress(ProcessLookupError):  # a rank that the launcher has waited for
                os.kill(launching if kill[0] < 0 else ranks[kill[0]], signal.SIGKILL)
            kill = None
        time.sleep(_POLL)
    over = time.monotonic()
    while orphans and any(alive(*rank) for rank in begun.items()):
        time.sleep(_POLL)
    return {"code": os.waitstatus_to_exitcode(status), "seconds": over - started, "orphans": time.monotonic() - over}


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert runner and sklearn.datasets and Watch  # imported here once, for all attempts
    left: list[tuple[int, str | None]] = []
    for asked in json.loads(sys.argv[1]):
        print("attempt", json.dumps(attempt(arguments=sys.argv[2:], **asked)), flush=True)
    print("left", sum(alive(*rank) for rank in left))
