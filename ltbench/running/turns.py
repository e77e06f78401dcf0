"""Taking turns with other processes that write to the same output folder: what one of them has begun is left to it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from ltbench.planning.plan import RunPlan
from ltbench.results.schema import Record
from ltbench.system.holder import Holder, holders, tidy
from ltbench.system.lease import Lease

Look = Callable[[RunPlan], Record | None]
FOLDER = ".leases"
_PAUSE = 1.0  # seconds between two looks at what other processes have begun
_SHORT_PAUSE = 0.1  # where they are known to be at work on this machine


class Turns:
    """Go through a matrix together with other processes, of which each run is made by one.

    Args:
        accelerator: Of the process; the main one alone looks and holds.
        to_make: Returns the keys of the stages that a run needs and that are not in the store.
    """

    def __init__(self, out: Path, accelerator: Accelerator, to_make: Callable[[RunPlan], set[str]]) -> None:
        self._folder = out / FOLDER
        self._accelerator = accelerator
        self._to_make = to_make
        self._held: Lease | None = None

    def each(self, plans: Sequence[RunPlan], finished: Look, *,
             tells: bool = True) -> Generator[tuple[int, Record | None], None, None]:
        """Yield the number of every plan with its record, or with None if the caller is to make the run now.

        The caller holds the lease of a run that it makes until it asks for the next number. Runs that another process has begun,
        and runs that need a stage which another process is making, come last.

        Args:
            finished: Looks for the record of a plan; None for none.
            tells: Whether the user hears of a wait; if not, the others are at work for the same command.

        Raises:
            UserError: If the output folder cannot be written.
        """
        leases = [Lease(self._folder, plan.file_name, f"{plan.expression} on {plan.task}, seed {plan.task.seed}")
                  for plan in plans]
        left = list(range(len(plans)))
        told = not tells or not self._accelerator.is_main_process
        while left:
            later = []
            for number in left:
                known, held = self._agreed(number, plans, leases, finished)
                if known is None and not held:
                    later.append(number)
                    continue
                try:
                    yield number, known
                finally:
                    self._release()
            if later == left:
                told = told or _tell([leases[number] for number in left])
                time.sleep(_PAUSE if tells else _SHORT_PAUSE)
            left = later
        if self._accelerator.is_main_process:
            tidy(self._folder)

    def confirm(self) -> bool:
        """Make sure of the run in hand before its record is written; return whether no other process has had it in between."""
        return self._held is None or self._held.confirm()

    def _agreed(self, number: int, plans: Sequence[RunPlan], leases: Sequence[Lease],
                finished: Look) -> tuple[Record | None, bool]:
        """Return what the main process finds: the record of a plan, and whether it holds the plan now."""
        found: list[tuple[Record | None, bool]] = [(None, False)]
        if self._accelerator.is_main_process:
            plan, lease = plans[number], leases[number]
            known = finished(plan)
            if known is None and (maker := self._maker(plan, plans)):
                lease.holder = maker
            elif known is None and lease.attempt():
                self._held = lease
                known = finished(plan)  # another process may have finished it between the look and the lease
            found = [(known, self._held is not None)]
        broadcast_object_list(found)
        return found[0]

    def _maker(self, plan: RunPlan, plans: Sequence[RunPlan]) -> Holder | None:
        """Return who is at work on another run that makes a stage which this one needs too: taking it would mean to wait for him.

        A run that somebody has begun has its own lease to say whether he is overdue: then it is taken, and its stage with it.
        """
        others = {name: holder for name, holder in holders(self._folder).items() if not holder.dead}
        if not others or plan.file_name in others:
            return None
        needed = self._to_make(plan)
        return next((others[each.file_name] for each in plans
                     if each.file_name in others and not needed.isdisjoint(self._to_make(each))), None)

    def _release(self) -> None:
        if self._held is not None:
            self._held.release()
            self._held = None


def _tell(leases: list[Lease]) -> bool:
    """Say what is waited for; return whether that could be said: a process may have given up its lease, or not have it yet."""
    holder = leases[0].holder
    if holder is None:
        return False
    more = f" (and for {len(leases) - 1} more that other jobs have begun)" if len(leases) > 1 else ""
    print(f"waiting for {leases[0].what}: {holder}{more}", file=sys.stderr, flush=True)
    return True
