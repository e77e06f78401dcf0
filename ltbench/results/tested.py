"""How many classes a mean over classes is over: one without a test image has no accuracy, and is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ltbench.terms.shots import USUAL, Splits

if TYPE_CHECKING:
    from ltbench.results.schema.record import Record


def count_tested(class_counts: Sequence[int], test_counts: Sequence[int], splits: Splits = USUAL) -> dict[str, int] | None:
    """Count the classes with test images, in all and among many-, medium- and few-shot ones; None where every class has some.

    Args:
        class_counts: Training images of each class, shape (C,).
        test_counts: Test images of each class, shape (C,).
        splits: Where many, medium and few part.
    """
    return None if all(test_counts) else splits.tally(n for n, tested in zip(class_counts, test_counts, strict=True) if tested)


def tell_tested(class_counts: Sequence[int], test_counts: Sequence[int], splits: Splits = USUAL) -> str | None:
    """Say what to read beside a figure over fewer classes than there are: ``over 97 of 100 classes (few 27 of 30)``.

    None where every class has a test image.
    """
    tested = count_tested(class_counts, test_counts, splits)
    if tested is None:
        return None
    there = splits.tally(class_counts)
    fewer = [f"{name} {tested[name]} of {there[name]}" for name in there if name != "all" and tested[name] < there[name]]
    return f"over {tested['all']} of {there['all']} classes ({', '.join(fewer)}): the others have no test image"


def tell_of(records: Iterable[Record]) -> str | None:
    """Say it of records, whose runs may lack different classes; None where every class has a test image in all of them."""
    texts = [tell_tested(record.split.class_counts, record.split.test_counts, record.protocol.bounds) for record in records]
    return "; ".join(dict.fromkeys(text for text in texts if text)) or None
