"""A process that makes the runs that it is asked for, one after the other: ``python -m ltbench.cli.run.worker``."""

from __future__ import annotations

import io
import os
import pickle
import signal
import sys
import threading
import time
from contextlib import redirect_stderr
from queue import SimpleQueue
from typing import IO, Any

from ltbench.cli.run.handover import unpacked
from ltbench.errors import UserError
from ltbench.running.jobs.messages import Answer, Command, Event, Obtained, Ready, Refused, Result, Run
from ltbench.running.observers import Observers
from ltbench.running.tracking import alone
from ltbench.system.stopping import Stopped, stoppable

_GRACE = 20.0  # seconds to leave in order when whoever started this process is gone


class Relay(Observers):
    """Pass on what happens to the process that has the observers.

    Args:
        channel: To that process.

    Attributes:
        tracker: Is told here, where runs come one after the other; None for none.
    """

    def __init__(self, channel: IO[bytes]) -> None:
        self._channel = channel
        self.tracker: Observers | None = None

    def obtained(self, stage: int) -> None:
        """Pass it on."""
        self.send(Obtained(stage))

    def notify(self, hook: str, **arguments: Any) -> None:
        """Pass it on."""
        self.send(Event(hook, arguments))
        if self.tracker is not None:
            self.tracker.notify(hook, **arguments)

    def send(self, answer: Answer) -> None:
        """Say something.

        Args:
            answer: Whole, at once.
        """
        pickle.dump(answer, self._channel)
        self._channel.flush()


def main() -> int:
    """Do what is asked until nothing more is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # at Ctrl-C whoever started this process ends it
    commands = os.fdopen(os.dup(0), "rb")  # not Python's own stdin, which it closes at the end, and a thread reads it until then
    with os.fdopen(os.dup(1), "wb") as channel:
        os.dup2(2, 1)  # what a method prints must not stand among the answers
        relay = Relay(channel)
        try:
            with stoppable():
                _work(commands, relay)
        except UserError as error:
            relay.send(Refused(str(error)))
        except Stopped as stop:
            return stop.code
    return 0


def _work(pipe: IO[bytes], relay: Relay) -> None:
    from ltbench.cli.run.execute import plan
    from ltbench.running.setup import make_runner

    args = unpacked(pickle.load(pipe))
    commands: SimpleQueue[Command | None] = SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, commands), daemon=True).start()
    with redirect_stderr(io.StringIO()):  # what there is to say of the plan has been said
        matrix = plan(args)
    if args.track_with is not None:
        relay.tracker = alone(args.track_with, args.track_dir)
    runner = make_runner(args, matrix, relay)
    plans = runner.prepare(matrix.plans)
    relay.send(Ready())
    while (command := commands.get()) is not None:
        planned = plans[command.number - 1]
        if isinstance(command, Run):
            (record,) = runner.obtain([planned], [command.number], len(plans))
        else:
            record = runner.give_up(planned, command.number, len(plans), command.reason)
        relay.send(Result(record["status"]))


def _listen(pipe: IO[bytes], commands: SimpleQueue[Command | None]) -> None:
    """Read what is asked while a run goes on, to hear at once when there is nobody left to ask."""
    try:
        while (command := pickle.load(pipe)) is not None:
            commands.put(command)
    except EOFError:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE)
        os._exit(128 + signal.SIGTERM)
    commands.put(None)


if __name__ == "__main__":
    sys.exit(main())
