"""How many classes a figure on validation images, or on images held out, is over: of a class without any there is none."""

from __future__ import annotations

from collections.abc import Sequence


def tell_judged(counts: Sequence[int], kind: str) -> str | None:
    """Say what to read beside such a figure: ``over 2 of 3 classes: the others have no validation image``.

    None where every class has an image.

    Args:
        counts: Images of each class, shape (C,).
        kind: Of image, ``validation`` or ``held-out``.
    """
    return None if all(counts) else f"over {sum(map(bool, counts))} of {len(counts)} classes: the others have no {kind} image"


def tell_score(score: float, counts: Sequence[int]) -> str:
    """Write a trial's score, and over how many classes it is where these are not all.

    Args:
        score: In percent.
        counts: Validation images of each class, shape (C,).
    """
    return ", ".join(filter(None, (f"{score:.2f} % of the validation part", tell_judged(counts, "validation"))))
