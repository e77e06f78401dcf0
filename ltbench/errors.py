"""The errors that a user can cause."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


class UserError(Exception):
    """Report something that the user can mend: one line on stderr and exit code 2, never a traceback."""


class MissingData(UserError):
    """Report that a dataset's files are not there at all; files that are there and damaged are another error."""


class Diverged(Exception):
    """Report that a training loss stopped being finite: the run gets a record with that status.

    Args:
        message: Where it happened.
        curve: The finished epochs of the stage before that.
    """

    def __init__(self, message: str, curve: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.curve = list(curve)


def unknown(kind: str, name: str, known: Iterable[str], *, maybe: str = "", because: str = "") -> UserError:
    """Build the error for a name that nobody registered, with the nearest known one.

    Args:
        kind: What was looked up, for example ``method``.
        name: What the user wrote.
        known: The names that exist.
        maybe: What else the user may have meant, by what is known of such names.
        because: What else is known of this name.
    """
    names = sorted(known)
    near = [*(like for like in difflib.get_close_matches(name, names, n=1) if not maybe.startswith(like)), *filter(None, [maybe])]
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ";"
    return UserError(f"unknown {kind} {name!r}{because and f': {because}'}{hint} Known: {', '.join(names) or 'none'}")


def brief(error: BaseException) -> str:
    """Return an error's type and the first line of what it says."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
