"""How many classes a mean over classes is over: one without a test image has no accuracy, and is left out."""

from __future__ import annotations

from collections.abc import Sequence

from ltbench.terms.shots import FEW_BELOW, MANY_ABOVE


def count_tested(class_counts: Sequence[int], test_counts: Sequence[int]) -> dict[str, int] | None:
    """Count the classes with test images, in all and among many-, medium- and few-shot ones; None where every class has some.

    Args:
        class_counts: Training images of each class, shape (C,).
        test_counts: Test images of each class, shape (C,).
    """
    return None if all(test_counts) else _by_split([n for n, tested in zip(class_counts, test_counts, strict=True) if tested])


def tell_tested(class_counts: Sequence[int], test_counts: Sequence[int]) -> str | None:
    """Say what to read beside a figure over fewer classes than there are: ``over 97 of 100 classes (few 27 of 30)``.

    None where every class has a test image.
    """
    tested = count_tested(class_counts, test_counts)
    if tested is None:
        return None
    there = _by_split(class_counts)
    splits = [f"{name} {tested[name]} of {there[name]}" for name in there if name != "all" and tested[name] < there[name]]
    return f"over {tested['all']} of {there['all']} classes ({', '.join(splits)}): the others have no test image"


def _by_split(counts: Sequence[int]) -> dict[str, int]:
    many, few = sum(n > MANY_ABOVE for n in counts), sum(n < FEW_BELOW for n in counts)
    return {"all": len(counts), "many": many, "medium": len(counts) - many - few, "few": few}
