"""Columns of a table that tell the parts under a name that is not read: their test images would be trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ltbench.data.part_folders import role_of

_ANSWERS = {"0", "1", "true", "false", "yes", "no"}
LOOKED_AT = 100  # rows, before a whole column is


def may_tell_parts(name: str, values: Iterable[str]) -> bool:
    """Return whether values of a column are all parts; or, of one called ``is_test``, yes and no."""
    texts = {text.strip().lower() for text in values} - {""}
    called = name.strip().lower()
    answers = called.startswith("is_") and role_of(called.removeprefix("is_")) is not None
    return bool(texts) and (all(map(role_of, texts)) or answers and texts <= _ANSWERS)


def part_column(columns: Mapping[str, Iterable[str]]) -> str | None:
    """Return the name of a column, of those that are not read, that tells the parts apart; None where there is none.

    Args:
        columns: The values of each.
    """
    for name, values in columns.items():
        texts = {text.strip().lower() for text in values} - {""}
        if may_tell_parts(name, texts) and len({role_of(text) or text for text in texts}) > 1:
            return name
    return None
