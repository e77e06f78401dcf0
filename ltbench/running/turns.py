"""Taking turns with other jobs that write to the same output folder: what one of them has begun is left to it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from ltbench.planning.plan import RunPlan
from ltbench.results.schema import Record
from ltbench.system.holder import tidy
from ltbench.system.lease import Lease

Look = Callable[[RunPlan], Record | None]
FOLDER = ".leases"
_PAUSE = 1.0  # seconds between two looks at what other jobs have begun


class Turns:
    """Go through a matrix together with other jobs, of which each run is made by one.

    Args:
        out: Folder of the records.
        accelerator: Of the process; the main one alone looks and holds.
    """

    def __init__(self, out: Path, accelerator: Accelerator) -> None:
        self._folder = out / FOLDER
        self._accelerator = accelerator
        self._held: Lease | None = None

    def each(self, plans: Sequence[RunPlan], finished: Look) -> Generator[tuple[int, Record | None], None, None]:
        """Yield the number of every plan, with the record that it has; one without is held until the next number is asked for.

        What another job has begun comes last, once that job is done with it, or dead.

        Args:
            plans: The matrix.
            finished: Looks for the record of a plan; None for none.

        Raises:
            UserError: If the output folder cannot be written.
        """
        leases = [Lease(self._folder, plan.file_name, f"{plan.expression} on {plan.task}, seed {plan.task.seed}")
                  for plan in plans]
        left = list(range(len(plans)))
        told = False
        while left:
            later = []
            for number in left:
                known, held = self._agreed(leases[number], plans[number], finished)
                if known is None and not held:
                    later.append(number)
                    continue
                try:
                    yield number, known
                finally:
                    self._release()
            if later == left:
                told = told or (self._accelerator.is_main_process and _tell([leases[number] for number in left]))
                time.sleep(_PAUSE)
            left = later
        if self._accelerator.is_main_process:
            tidy(self._folder)

    def confirm(self) -> bool:
        """Make sure of the run in hand before its record is written; return whether no other job has had it in between."""
        return self._held is None or self._held.confirm()

    def _agreed(self, lease: Lease, plan: RunPlan, finished: Look) -> tuple[Record | None, bool]:
        """Return what the main process finds: the record of a plan, and whether it holds the plan now."""
        found: list[tuple[Record | None, bool]] = [(None, False)]
        if self._accelerator.is_main_process:
            known = finished(plan)
            if known is None and lease.attempt():
                self._held = lease
                known = finished(plan)  # another job may have finished it between the look and the lease
            found = [(known, self._held is not None)]
        broadcast_object_list(found)
        return found[0]

    def _release(self) -> None:
        if self._held is not None:
            self._held.release()
            self._held = None


def _tell(leases: list[Lease]) -> bool:
    """Say what is waited for, and return whether that could be said: a job may have given up its lease, or not have it yet."""
    holder = leases[0].holder
    if holder is None:
        return False
    more = f" (and for {len(leases) - 1} more that other jobs have begun)" if len(leases) > 1 else ""
    print(f"waiting for {leases[0].what}: {holder}{more}", file=sys.stderr, flush=True)
    return True
