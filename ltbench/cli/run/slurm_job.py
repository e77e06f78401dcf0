"""What a job of the array does: one shard, and back into the queue when it is preempted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

from ltbench.planning.request import Request
from ltbench.system.stopping import CODES

_MOST_RESTARTS = 100  # a job that never gets through an epoch would come back for ever


class ShardJob:
    """Run one shard inside a job of the array; come back for the rest when stopped by a signal.

    Args:
        execute: Does it, and returns the exit code of the command.
    """

    def __init__(self, execute: Callable[[Request], int], request: Request) -> None:
        self.execute = execute
        self.request = request

    def __call__(self) -> None:
        """Run it; the job's exit code is that of the command."""
        from ltbench.cli.main import guarded

        status = guarded(lambda: self.execute(self.request))
        if status in CODES:
            _come_back()
        sys.exit(status)


def _come_back() -> None:
    """Put this job back into the queue, unless Slurm is ending it already: for somebody's scancel, or to requeue it by itself."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK"))
    job = f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]
    state = subprocess.run(["squeue", "--noheader", "--format=%T", "--jobs", job], capture_output=True, text=True).stdout.strip()
    restarts = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
    if state != "RUNNING":
        print(f"ltbench: Slurm says that job {job} is {state or 'gone'}: it is not requeued from here", file=sys.stderr)
    elif restarts >= _MOST_RESTARTS:
        print(f"ltbench: job {job} was requeued {restarts} times and is not once more: submit it again to go on", file=sys.stderr)
    else:
        print(f"ltbench: job {job} is requeued", file=sys.stderr, flush=True)
        asked = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
        if asked.returncode:
            print(f"ltbench: job {job} was not requeued: {last_line(asked.stderr)}", file=sys.stderr)


def last_line(text: str) -> str:
    """Return the last line of what a program said."""
    return (text.strip().splitlines() or ["it said nothing"])[-1]
