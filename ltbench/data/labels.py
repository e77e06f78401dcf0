"""From what people write as the class of an image, a number or a name, to the numbers of classes."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence

from ltbench.errors import UserError

_NUMBER = re.compile(r"-?\d{1,18}")


def class_numbers(name: str, labels: Collection[str], *, numbered: bool = True) -> dict[str, int]:
    """Return the numbers of the classes by their names: names in the order of their bytes, numbers as they are.

    Args:
        name: Of the set, for messages.
        labels: Of the training images, each once.
        numbered: Whether labels may be numbers already; names of folders are names.

    Raises:
        UserError: If labels are numbers with a gap.
    """
    if not numbered or not all(map(_NUMBER.fullmatch, labels)):
        return {label: k for k, label in enumerate(sorted(labels, key=os.fsencode))}
    numbers = sorted(map(int, labels))
    for number, wanted in zip(numbers, range(len(numbers)), strict=True):
        if number != wanted:
            raise UserError(f"{name} must have a training image of every class from 0 to {numbers[-1]}, got "
                            f"{f'none of {wanted}' if number > wanted else number}")
    return {str(k): k for k in numbers}


def same_numbers(labels: Sequence[str]) -> Sequence[str]:
    """Return labels with each number written in one way, where all are numbers: 007 is 7."""
    return [str(int(label)) for label in labels] if all(map(_NUMBER.fullmatch, labels)) else labels
