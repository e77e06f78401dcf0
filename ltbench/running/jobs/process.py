"""A worker process, seen from the one that started it."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, Any

from ltbench.running.jobs.messages import Answer, Command, Ended, Line


class Worker:
    """Start a process and listen to it; what it says is put into an inbox, whole lines and whole messages.

    It is a fresh interpreter: a fork of a process in which OpenMP has run hangs.

    Args:
        command: Of the process.
        environment: Of the process.
        opening: What it is told first; anything that pickles.
        inbox: Takes this worker and what it said.

    Attributes:
        ready: Whether it has said that it is.
        task: What it was asked for and has not answered.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], opening: Any,
                 inbox: SimpleQueue[tuple[Worker, Answer]]) -> None:
        self.ready = False
        self.task: Command | None = None
        self._inbox = inbox
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE)
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._tell, answers, lines = self._process.stdin, self._process.stdout, self._process.stderr
        self._listeners = [threading.Thread(target=self._read_lines, args=(lines,), daemon=True),
                           threading.Thread(target=self._read_answers, args=(answers,), daemon=True)]
        for thread in self._listeners:
            thread.start()
        self._send(opening)

    def ask(self, task: Command) -> None:
        """Give it something to do.

        Args:
            task: Answered by a result.
        """
        self.task = task
        self._send(task)

    def leave(self) -> None:
        """Ask it to end, which it does when it has nothing to do."""
        self._send(None)

    def terminate(self) -> None:
        """Ask it to end at once."""
        self._process.terminate()

    def wait(self, seconds: float) -> int:
        """Wait for its end and for all that it said, and return its exit code; that of a signal is negative.

        Args:
            seconds: After which it is killed.
        """
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._listeners:
            thread.join(1.0)  # a process of its own that it left behind may hold the pipes
        with suppress(OSError):
            self._tell.close()
        return self._process.returncode

    def _send(self, message: Any) -> None:
        with suppress(OSError):  # it is gone, which its listener reports
            pickle.dump(message, self._tell)
            self._tell.flush()

    def _read_answers(self, pipe: IO[bytes]) -> None:
        with suppress(EOFError, OSError, pickle.UnpicklingError):  # a process that is killed may stop in the middle of a word
            while True:
                self._inbox.put((self, pickle.load(pipe)))
        self._listeners[0].join(1.0)  # its last words come before the news of its end
        self._inbox.put((self, Ended()))

    def _read_lines(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            self._inbox.put((self, Line(line.decode(sys.stderr.encoding or "utf-8", "replace").rstrip("\r\n"))))
