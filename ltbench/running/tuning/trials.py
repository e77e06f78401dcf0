"""The file of a study: one line a finished trial, so that a killed study goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ltbench.errors import UserError
from ltbench.system.atomic import write_whole

COMPLETED, DIVERGED, REFUSED = "completed", "diverged", "refused"


@dataclass(frozen=True)
class Trial:
    """Hold what one trial gave.

    Args:
        values: Of the tuned hyperparameters, by ``method.name``.
        score: Mean accuracy over the classes that have validation images, in percent; 0 where the training diverged, None where
            a method refused the values.
        status: ``completed``, ``diverged`` or ``refused``.
    """

    values: dict[str, Any]
    score: float | None
    status: str


class TrialFile:
    """Keep the trials of one study.

    Args:
        study: Names everything that the trials depend on; a file of another study is begun anew.
    """

    def __init__(self, path: Path, study: str) -> None:
        self._path = path
        self._study = study

    def read(self) -> list[Trial]:
        """Return the trials that are there, in order; a line that a crash cut off is none."""
        try:
            head, *lines = self._path.read_text(encoding="utf-8").splitlines()
            if json.loads(head) != {"study": self._study}:
                return []
        except (OSError, ValueError):
            return []
        trials: list[Trial] = []
        for line in lines:
            try:
                number, content = json.loads(line)
                trial = Trial(**content)
            except (ValueError, TypeError):
                break
            if number == len(trials):  # two processes with one study may both have written a trial
                trials.append(trial)
        return trials

    def start(self, trials: list[Trial]) -> None:
        """Write the file with what is known, in one step: a process that is killed here loses no trial.

        Raises:
            UserError: If it cannot be written.
        """
        with self._told():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lines = [{"study": self._study}, *(_line(number, trial) for number, trial in enumerate(trials))]
            write_whole(self._path, "".join(map(_text, lines)).encode())

    def add(self, number: int, trial: Trial) -> None:
        """Append a trial.

        Args:
            number: From 0.

        Raises:
            UserError: If the file cannot be written.
        """
        with self._told(), open(self._path, "a", encoding="utf-8") as file:
            file.write(_text(_line(number, trial)))
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell the user where the file cannot be written."""
        try:
            yield
        except OSError as error:
            raise UserError(f"the trials {self._path} cannot be written: {error.strerror}") from None


def _line(number: int, trial: Trial) -> list[Any]:
    return [number, asdict(trial)]


def _text(line: Any) -> str:
    return json.dumps(line) + "\n"
