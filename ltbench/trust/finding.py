"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from ltbench.results.text import printable

Level: TypeAlias = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
_LONGEST = 400


@dataclass(frozen=True)
class Finding:
    """Hold one thing that was found of one file.

    Args:
        level: ``error`` (the record is refused), ``warning`` (a reader should know) or ``note`` (what could not be checked).
        field: Of the record; empty for the file as a whole.
        message: What is wrong.
    """

    level: Level
    field: str
    message: str

    def line(self, path: Path) -> str:
        """Return it as one line that is safe on a terminal.

        Args:
            path: Of the file.
        """
        level = "" if self.level == "error" else f"{self.level}: "
        text = f"{self.field}: {self.message}" if self.field else self.message
        return printable(f"{path}: {level}{text if len(text) <= _LONGEST else text[:_LONGEST] + '...'}")


def error(field: str, message: str) -> Finding:
    """Return a finding for which a record is refused."""
    return Finding("error", field, message)


def warning(field: str, message: str) -> Finding:
    """Return a finding that a reader should know of."""
    return Finding("warning", field, message)


def note(field: str, message: str) -> Finding:
    """Return a finding that says what could not be checked."""
    return Finding("note", field, message)


def refused(findings: list[Finding]) -> bool:
    """Tell whether a record with these findings is refused."""
    return any(finding.level == "error" for finding in findings)
