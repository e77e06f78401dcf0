"""Whether the images of each class are those that were published."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ltbench.data.arrays import Ints
from ltbench.data.base import Dataset
from ltbench.data.inspection.findings import Finding
from ltbench.data.published import Published, Totals, counts_digest

_KIND = "published"
_NAMED = 3  # classes that one line names


def compare(counts: Mapping[str, Ints], dataset: Dataset) -> list[Finding]:
    """Return in what a set differs from its published counts; nothing where none were published.

    A training part of which a paper prints no more is compared by its total, largest and smallest class and many, medium and
    few; any other part class by class.
    """
    published = dataset.published
    if published is None:
        return []
    found = []
    for part, have in counts.items():
        wanted = getattr(published, part)
        if part == "train" and published.stated is not None:
            found += _stated(have, published.stated, published.train_digest)
        elif wanted is not None:
            found += _by_class(part, have, np.asarray(wanted), dataset)
    return found


def expected(part: str, published: Published | None) -> Totals | None:
    """Return the published totals of a part; None where there are none."""
    if published is None:
        return None
    if part == "train" and published.stated is not None:
        return published.stated
    counts = getattr(published, part)
    return None if counts is None else Totals.of(counts)


def _stated(have: Ints, wanted: Totals, digest: str | None) -> list[Finding]:
    got = Totals.of(have)
    lines = []
    if got.images != wanted.images:
        lines.append(f"train: images must be {wanted.images:,}, got {got.images:,} ({got.images - wanted.images:+,})")
    for name, extreme in (("largest", np.argmax), ("smallest", np.argmin)):
        images, goal = getattr(got, name), getattr(wanted, name)
        if images != goal:
            lines.append(f"train: the {name} class must have {goal:,} images, got {images:,} (class {int(extreme(have))})")
    groups = (got.many, got.medium, got.few)
    if groups != (wanted.many, wanted.medium, wanted.few):
        lines.append(f"train: many / medium / few classes must be {wanted.many} / {wanted.medium} / {wanted.few}, "
                     f"got {' / '.join(map(str, groups))}")
    if not lines and digest is not None and counts_digest(have) != digest:
        lines.append("train: every total is as published, but some class has not its published number of images: an image was "
                     "moved to another class, or classes are numbered in another order")
    return [Finding(_KIND, line) for line in lines]


def _by_class(part: str, have: Ints, wanted: Ints, dataset: Dataset) -> list[Finding]:
    wrong = np.flatnonzero(have != wanted)
    if not len(wrong):
        return []
    named = ", ".join(f"class {k} ({dataset.class_names[k]}) must have {wanted[k]:,} and has {have[k]:,}" for k in wrong[:_NAMED])
    more = f", and {len(wrong) - _NAMED:,} more classes" if len(wrong) > _NAMED else ""
    return [Finding(_KIND, f"{part}: images must be {wanted.sum():,}, got {have.sum():,}: {named}{more}"
                    if have.sum() != wanted.sum() else f"{part}: {have.sum():,} images as published, but {named}{more}")]
