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
class Remark:
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
        """Return it as one line that is safe on a terminal."""
        level = "" if self.level == "error" else f"{self.level}: "
        text = f"{self.field}: {self.message}" if self.field else self.message
        return printable(f"{path}: {level}{text if len(text) <= _LONGEST else text[:_LONGEST] + '...'}")


def error(field: str, message: str) -> Remark:
    """Return a remark for which a record is refused."""
    return Remark("error", field, message)


def warning(field: str, message: str) -> Remark:
    """Return a remark that a reader should know of."""
    return Remark("warning", field, message)


def note(field: str, message: str) -> Remark:
    """Return a remark that says what could not be checked."""
    return Remark("note", field, message)


def refused(remarks: list[Remark]) -> bool:
    """Tell whether a record with these remarks is refused."""
    return any(remark.level == "error" for remark in remarks)
