"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass


class Failure(Exception):
    """Report that a method does not do what it must."""


@dataclass(frozen=True)
class Result:
    """Hold what one check found of one method.

    Args:
        method: Its name.
        check: The check's name.
        ok: Whether it passed.
        message: What is wrong; empty if nothing is.
        mend: How methods usually come to pass the check.
    """

    method: str
    check: str
    ok: bool
    message: str = ""
    mend: str = ""

    def __str__(self) -> str:
        if self.ok:
            return f"{self.method}: {self.check}: ok"
        return f"{self.method}: {self.check}: {self.message}\n  how to mend it: {self.mend}"


def brief(error: BaseException) -> str:
    """Return an error as one line: its type, unless it is the kit's own, and the first line of its text."""
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, Failure) else f"{type(error).__name__}: {text}".rstrip(": ")
