"""Run a matrix on several worker processes."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

from ltbench.errors import UserError
from ltbench.planning.plan import info_of
from ltbench.running.jobs.agenda import Agenda
from ltbench.running.jobs.messages import Answer, Ended, Event, GiveUp, Line, Obtained, Ready, Refused, Result, Run
from ltbench.running.jobs.process import Worker
from ltbench.running.observers import Observers
from ltbench.running.progress import say
from ltbench.system.stopping import CODES

if TYPE_CHECKING:
    from ltbench.planning.plan import RunPlan

Inbox: TypeAlias = SimpleQueue[tuple[Worker, Answer]]

_GRACE = 5.0  # seconds that workers have to leave in order; far more than an optimizer step on anything but a very large batch


class Crew:
    """Keep workers busy until every run has ended.

    A worker that dies takes one run with it, which fails; another worker takes its place and writes that run's record.

    Args:
        plans: The matrix.
        agenda: Of the same matrix.
        jobs: Runs at once.
        start: Starts a worker that answers into the inbox.
        observers: Told what the workers' runs do.
        one_first: Whether the others start when the first is ready: one process downloads.
    """

    def __init__(self, plans: Sequence[RunPlan], agenda: Agenda, jobs: int, start: Callable[[Inbox], Worker],
                 observers: Observers, *, one_first: bool) -> None:
        self._plans = plans
        self._agenda = agenda
        self._jobs = jobs
        self._start = start
        self._observers = observers
        self._one_first = one_first
        self._inbox: Inbox = SimpleQueue()
        self._workers: list[Worker] = []
        self._given_up: list[GiveUp] = []  # whose records nobody has been asked for yet
        self._last_line = ""
        self._speaker: Worker | None = None  # until it is ready; the others would only repeat it
        self.statuses: list[str] = []

    def run(self) -> list[str]:
        """Run all and return how each ended, in the order of their ends.

        Raises:
            UserError: If a worker refuses the matrix, or workers do not even start.
        """
        try:
            self._speaker = self._hire()
            self._assign()
            while not self._agenda.over or self._given_up or any(worker.task for worker in self._workers):
                self._handle(*self._inbox.get())
                self._assign()
            for worker in self._workers:
                worker.leave()
        except BaseException:
            for worker in self._workers:
                worker.terminate()
            raise
        finally:
            deadline = time.monotonic() + _GRACE
            for worker in self._workers:
                worker.wait(max(0.0, deadline - time.monotonic()))
            self._tell_rest()
        return self.statuses

    def _hire(self) -> Worker:
        worker = self._start(self._inbox)
        self._workers.append(worker)
        return worker

    def _assign(self) -> None:
        """Give every idle worker something to do, and start those that are missing."""
        for worker in self._workers:
            if worker.ready and worker.task is None:
                if self._given_up:
                    worker.ask(self._given_up.pop())
                elif (number := self._agenda.take()) is not None:
                    worker.ask(Run(number))
        waits = self._one_first and not any(worker.ready for worker in self._workers)
        wanted = 1 if waits else min(self._jobs, self._agenda.left + len(self._given_up))
        while len(self._workers) < wanted:
            self._hire()

    def _handle(self, worker: Worker, answer: Answer) -> None:
        match answer:
            case Line(text):
                self._last_line = text
                if worker.ready or worker is self._speaker:
                    say(text)
            case Ready():
                worker.ready = True
            case Refused(text):
                raise UserError(text)
            case Event(hook, arguments):
                self._observers.notify(hook, **arguments)
            case Obtained(stage):
                assert worker.task is not None
                self._agenda.obtained(worker.task.number, stage)
            case Result(status):
                self.statuses.append(status)
                task, worker.task = worker.task, None
                if isinstance(task, Run):
                    self._agenda.ended(task.number)
                elif isinstance(task, GiveUp) and status == "failed":  # it may have finished before its process ended
                    self._tell_failed(task)
            case Ended():
                self._bury(worker)

    def _bury(self, worker: Worker) -> None:
        code = worker.wait(_GRACE)
        self._workers.remove(worker)
        if not worker.ready:
            raise UserError(f"a process of --jobs could not start (exit code {code}): {self._last_line or 'it said nothing'}")
        match worker.task:
            case Run(number):
                self._agenda.ended(number)
                self._given_up.append(GiveUp(number, _reason(code)))
            case GiveUp() as task:
                self.statuses.append("failed")  # without a record: somebody kills whatever is started
                self._tell_failed(task)

    def _tell_failed(self, task: GiveUp) -> None:
        say(f"failed: {info_of(self._plans[task.number - 1], task.number, len(self._plans))}: {task.reason}")

    def _tell_rest(self) -> None:
        """Pass on what workers said at their end."""
        while True:
            try:
                _, answer = self._inbox.get_nowait()
            except Empty:
                return
            if isinstance(answer, Line):
                print(answer.text, file=sys.stderr)


def _reason(code: int) -> str:
    if code >= 0 and code not in CODES:
        return f"its process ended with exit code {code}"
    name = signal.Signals(code - 128 if code > 0 else -code).name
    return f"its process was ended by {name}" + (": out of memory, or killed from outside" if name == "SIGKILL" else "")
