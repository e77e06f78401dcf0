"""``--jobs``: several runs at once, in processes that share the machine's cores and its one device."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltbench.cli.run.handover import packed
from ltbench.errors import UserError
from ltbench.system.settings import cores, data_workers

if TYPE_CHECKING:
    from ltbench.planning.plan import RunPlan


def check_jobs(args: argparse.Namespace) -> None:
    """Refuse what cannot share a machine.

    Args:
        args: With ``jobs`` above 1.

    Raises:
        UserError: Under torchrun, or for more threads than there are cores.
    """
    if (world := os.environ.get("WORLD_SIZE", "1")) != "1":
        raise UserError(f"--jobs must be 1 where torchrun runs {world} processes, got {args.jobs}")
    if args.threads is not None and args.threads * args.jobs > cores():
        raise UserError(f"--threads of {args.jobs} jobs must be at most {cores() // args.jobs}, their share of {cores()} cores, "
                        f"got {args.threads}")


def run_jobs(args: argparse.Namespace, plans: Sequence[RunPlan], *, one_thread: bool) -> list[str]:
    """Run a matrix with several workers, and return how each run ended.

    Args:
        args: With ``jobs`` above 1.
        plans: The matrix.
        one_thread: Whether more threads than one would only wait for each other.

    Raises:
        UserError: If the matrix cannot be run.
    """
    from ltbench.running.jobs.agenda import Agenda
    from ltbench.running.jobs.crew import Crew, Inbox
    from ltbench.running.jobs.process import Worker
    from ltbench.running.observers import Observers

    threads = _threads(args, one_thread)
    command = [sys.executable, "-m", "ltbench.cli.run.worker"]
    environment = _environment(threads, args.jobs)
    opening = packed(args, jobs=1, threads=threads)

    def start(inbox: Inbox) -> Worker:
        return Worker(command, environment, opening, inbox)

    agenda = Agenda(plans, given=args.stage1 is not None or args.weights is not None)
    return Crew(plans, agenda, args.jobs, start, Observers(args.registry.manager), one_first=args.download).run()


def _threads(args: argparse.Namespace, one_thread: bool) -> int:
    """Return the threads of each worker: as many as without ``--jobs``, but no more than its share of the cores."""
    share = max(1, cores() // int(args.jobs))
    typed = os.environ.get("OMP_NUM_THREADS", "")
    if args.threads is not None:
        return int(args.threads)
    if typed.isdecimal():
        return max(1, min(int(typed), share))
    return 1 if one_thread else share


def _environment(threads: int, jobs: int) -> dict[str, str]:
    """Return the environment of a worker; OpenMP reads it before anything else, so it must be there when the process starts."""
    # A thread that waits must not spin: two spinning processes made a step of 0.28 s last 4.1 s.
    set_here = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive",
                "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    if not os.environ.get("LTBENCH_WORKERS"):
        set_here["LTBENCH_WORKERS"] = str(max(1, data_workers() // jobs))
    return {**os.environ, **set_here}
