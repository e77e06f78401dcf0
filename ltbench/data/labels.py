"""From what people write as the class of an image, a number or a name, to the numbers of classes."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Collection, Sequence
from typing import Any

from ltbench.errors import UserError

_WHOLE = re.compile(r"-?\d{1,18}")
_NUMBER = re.compile(rf"({_WHOLE.pattern})(?:\.0+)?")  # what pandas makes of an integer in a column with empty cells


def class_numbers(name: str, labels: Collection[str], *, numbered: bool = True) -> dict[str, int]:
    """Return the numbers of the classes by their names: names in the order of their bytes, numbers as they are.

    Args:
        name: Of the set, for messages.
        labels: Of the training images, each once; numbers as :func:`same_numbers` writes them.
        numbered: Whether labels may be numbers already; names of folders are names.

    Raises:
        UserError: If labels are numbers with a gap, or no text.
    """
    if not numbered or not all(map(_WHOLE.fullmatch, labels)):
        say_alike(name, labels)
        try:
            # In UTF-8 whatever the locale's own encoding, which may lack their letters.
            return {label: k for k, label in enumerate(sorted(labels, key=lambda label: label.encode(errors="surrogateescape")))}
        except UnicodeEncodeError as error:  # half of a surrogate pair, as JSON may have it
            raise UserError(f"{name} must have classes whose names are text, got {error.object!r:.80}") from None
    numbers = sorted(map(int, labels))
    for number, wanted in zip(numbers, range(len(numbers)), strict=True):
        if number != wanted:
            raise UserError(f"{name} must have a training image of every class from 0 to {numbers[-1]}, got "
                            f"{f'none of {wanted}' if number > wanted else number}")
    return {str(k): k for k in numbers}


def same_numbers(labels: Sequence[str], trained: Collection[str]) -> Sequence[str]:
    """Return labels with each number written in one way, where all that are trained on are numbers: 007 and 7.0 are 7.

    Where one of them has a point, they are numbers only if they are 0 to C - 1 then: ``1.0`` and ``2.0`` are names of versions.

    Args:
        trained: Those of the training images.
    """
    if not all(map(_WHOLE.fullmatch, trained)):
        plain = set(same_texts(list(trained)))
        if plain != set(map(str, range(len(plain)))):
            return labels
    return [_plain(label) for label in labels]


def same_texts(texts: Sequence[str]) -> Sequence[str]:
    """Return texts with each number written in one way, where all are whole numbers, whichever: 1.0 is 1."""
    return list(map(_plain, texts)) if all(map(_NUMBER.fullmatch, texts)) else texts


def _plain(text: str) -> str:
    number = _NUMBER.fullmatch(text)
    return str(int(number[1])) if number else text


def say_alike(name: str, labels: Collection[str]) -> None:
    """Warn of two classes whose names a person would take for one: ``Cat`` and ``cat``, or one letter coded in two ways."""
    known: dict[str, str] = {}
    for label in sorted(labels):
        plain = unicodedata.normalize("NFC", " ".join(unicodedata.normalize("NFC", label).casefold().split()))
        if known.setdefault(plain, label) != label:
            print(f"warning: classes {known[plain]!r} and {label!r} of {name} differ in case, in spaces or in how their letters "
                  "are coded alone: each is a class of its own", file=sys.stderr)
            return


def cell_text(value: Any) -> str | None:
    """Return a cell as a text table would have it, empty for what is missing; None for what is no text: bytes, a list.

    pandas makes a float of an integer beside an empty cell.
    """
    if value is None or isinstance(value, float) and value != value:
        return ""
    if isinstance(value, bytes | list | tuple | dict):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
