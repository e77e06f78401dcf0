"""Which run starts next, so that no worker waits for another that trains the same stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltbench.planning.plan import RunPlan



class Agenda:
    """Hand out the runs of a matrix to workers.

    A run waits while another one makes a stage that it stands on. Of those that need not wait, runs that need a first stage which
    nobody has begun start first: first stages take longest, and all that stands on them waits for them.

    Args:
        plans: The matrix.
        given: Whether the first stage comes from elsewhere and is not trained.
    """

    def __init__(self, plans: Sequence[RunPlan], *, given: bool = False) -> None:
        self._first = [plan.stages[0].key for plan in plans]
        self._keys = [{stage.number: stage.key for stage in plan.stages if not (given and stage.number == 1)} for plan in plans]
        self._waiting = list(range(len(plans)))
        self._making: dict[int, set[str]] = {}  # by run that a worker has
        self._begun: set[str] = set()  # first stages
        self._made: set[str] = set()

    @property
    def over(self) -> bool:
        """Whether every run has ended."""
        return not self._waiting and not self._making

    @property
    def left(self) -> int:
        """Runs that have not ended."""
        return len(self._waiting) + len(self._making)

    def take(self) -> int | None:
        """Return the number of the run to start now, from 1; None where all that are left must wait or none is left."""
        busy = {key for keys in self._making.values() for key in keys}
        free = [run for run in self._waiting if busy.isdisjoint(self._keys[run].values())]
        if not free:
            return None
        run = min(free, key=lambda run: (self._first[run] in self._begun, run))
        self._waiting.remove(run)
        self._begun.add(self._first[run])
        self._making[run] = set(self._keys[run].values()) - self._made
        return run + 1

    def obtained(self, number: int, stage: int) -> None:
        """Note that a stage is there.

        Args:
            number: Of the run, from 1.
            stage: From 1.
        """
        key = self._keys[number - 1].get(stage)
        if key is not None:
            self._made.add(key)
            self._making[number - 1].discard(key)

    def ended(self, number: int) -> None:
        """Note that a run has ended, however it did; another may now try the stages that it did not finish.

        Args:
            number: Of the run, from 1.
        """
        del self._making[number - 1]
