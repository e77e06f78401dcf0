"""What is typed behind a family's colon, with options: ``EMNIST(split=letters)``, ``OWNER/NAME(label=coarse_label)``."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from typing import Any

from ltbench.errors import UserError, unknown

_WRITTEN = re.compile(r"(.*?)\((\s*\w+\s*=[^()]*)\)", re.DOTALL)  # a folder may be called "pets (1)"
_WORDS = {"true": True, "false": False, "none": None}


def split_member(typed: str) -> tuple[str, dict[str, str]]:
    """Return a member's name and its options, as text.

    Raises:
        UserError: If an option has no value or stands twice.
    """
    written = _WRITTEN.fullmatch(typed)
    if written is None:
        return typed, {}
    options: dict[str, str] = {}
    for option in written[2].split(","):
        key, _, value = (part.strip() for part in option.partition("="))
        if not key or not value or key in options:
            raise UserError(f"options must be written as NAME(key=value,key=value), each once, got {typed!r}")
        options[key] = value
    return written[1].strip(), options


def require_known(options: Collection[str], known: Collection[str], whose: str) -> None:
    """Refuse an option that nobody takes.

    Args:
        whose: The options are, for the message.
    """
    for name in options:
        if name not in known:
            raise unknown(f"option of {whose}", name, known)


def literal(text: str) -> Any:
    """Return what an option's text says as Python reads it; a bare word is text."""
    try:
        return _WORDS[text] if text in _WORDS else ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
