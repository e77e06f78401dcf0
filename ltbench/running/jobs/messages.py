"""What a worker process and the one that started it say to each other, pickled one after the other."""

from __future__ import annotations

from typing import Any, NamedTuple


class Run(NamedTuple):
    """Ask a worker for a run.

    Args:
        number: In the matrix, from 1.
    """

    number: int


class GiveUp(NamedTuple):
    """Ask a worker for the record of a run whose own worker is gone.

    Args:
        number: In the matrix, from 1.
        reason: Why it failed.
    """

    number: int
    reason: str


class Ready(NamedTuple):
    """Say that the data has been read and the matrix checked."""


class Refused(NamedTuple):
    """Say that the matrix cannot be run: a user's mistake ends all workers.

    Args:
        text: One line.
    """

    text: str


class Event(NamedTuple):
    """Pass on what observers are told.

    Args:
        hook: Of the observers.
        arguments: By name.
    """

    hook: str
    arguments: dict[str, Any]


class Obtained(NamedTuple):
    """Say that a stage of the worker's run is there, so that others which stand on it need not wait.

    Args:
        stage: From 1.
    """

    stage: int


class Result(NamedTuple):
    """Say how the worker's run ended.

    Args:
        status: Of its record.
    """

    status: str


class Line(NamedTuple):
    """Pass on a line of the worker's stderr.

    Args:
        text: Without its end.
    """

    text: str


class Ended(NamedTuple):
    """Say that the worker is gone and will say no more."""


Command = Run | GiveUp
Answer = Ready | Refused | Event | Obtained | Result | Line | Ended
