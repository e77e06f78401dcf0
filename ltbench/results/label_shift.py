"""Accuracy under label shift: a function of the predictions that are there anyway, so nothing is evaluated twice.

A figure is plain top-1 over the images of a shifted test set, as the field prints it, and not a mean over classes.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.data.arrays import Ints
from ltbench.data.label_shift import build_shift
from ltbench.data.longtail import split_hash
from ltbench.results.predictions import Predictions
from ltbench.terms.shift import Shift, parse_shift, shifts_of

PUBLISHED, BUILT = "published", "built"
Members = npt.NDArray[np.bool_]  # whether each predicted image is in a set, shape (N,)
Figures = dict[str, dict[str, Any]]


def label_shift(predictions: Predictions, class_counts: npt.ArrayLike, ratios: Iterable[int], published: Mapping[str, Ints],
                seed: int) -> dict[str, Figures]:
    """Compute the accuracy under every shift, apart for published sets and for built ones: the two are never averaged.

    A published set counts only whole. Where some of its images were not predicted, as in a smoke test, the set is built from
    those that were: what is left of a list is no long tail.

    Args:
        class_counts: Training images of each class, shape (C,).
        ratios: Of the shifts, both directions of each.
        published: By the shift's name, positions in the test part of its published set.
        seed: Of the sets that are built.

    Returns:
        By source and by the shift's name: ``accuracy`` in percent, ``images``, ``classes`` with at least one image, and the
        ``sha256`` of the images' positions. Published sets have ``members`` too: the images, for a list cannot be recomputed.
    """
    figures: dict[str, Figures] = {PUBLISHED: {}}
    build = []
    for shift in shifts_of(ratios):
        name = str(shift)
        ids = published.get(name)
        if ids is not None and np.isin(ids, predictions.ids).all():
            figures[PUBLISHED][name] = _published(predictions, np.isin(predictions.ids, ids))
        else:
            build.append(shift)
    figures[BUILT] = _built(predictions, class_counts, build, seed)
    return {source: by_name for source, by_name in figures.items() if by_name}


def recompute(claimed: Mapping[str, Figures], predictions: Predictions, class_counts: npt.ArrayLike, seed: int
              ) -> dict[str, dict[str, Any]]:
    """Compute again what a record says, by the rule for built sets and from its own members for published ones.

    Args:
        claimed: As :func:`label_shift` returned it.
        class_counts: Training images of each class, shape (C,).
        seed: Of the sets that were built.

    Returns:
        The same form; None for a set whose members do not fit the predictions.
    """
    built = _built(predictions, class_counts, map(parse_shift, claimed.get(BUILT, {})), seed)
    published = {}
    for name, figures in claimed.get(PUBLISHED, {}).items():
        members = _unpack(figures["members"], len(predictions))
        published[name] = None if members is None else _published(predictions, members)
    return {source: by_name for source, by_name in ((PUBLISHED, published), (BUILT, built)) if source in claimed}


@functools.lru_cache(maxsize=32)  # all runs that are tested on the same images share their sets: of ten shifts three times
def _drawn(ids: bytes, labels: bytes, class_counts: bytes, shift: Shift, seed: int) -> tuple[Members, dict[str, Any]]:
    positions, classes, counts = (np.frombuffer(array, dtype=np.int64) for array in (ids, labels, class_counts))
    members = build_shift(positions, classes, counts, shift, seed)
    return members, _facts(positions, classes, members)


def _built(predictions: Predictions, class_counts: npt.ArrayLike, shifts: Iterable[Shift], seed: int) -> Figures:
    counts = np.asarray(class_counts, dtype=np.int64)
    of = predictions.ids.tobytes(), predictions.labels.tobytes(), counts.tobytes()
    right = predictions.argmax == predictions.labels  # (N,)
    drawn = {str(shift): _drawn(*of, shift, seed) for shift in shifts}
    return {name: {"accuracy": _accuracy(right, members), **facts} for name, (members, facts) in drawn.items()}


def _accuracy(right: Members, members: Members) -> float | None:
    chosen = right[members]
    return 100 * int(chosen.sum()) / len(chosen) if len(chosen) else None


def _facts(ids: Ints, labels: Ints, members: Members) -> dict[str, Any]:
    chosen = labels[members]
    return {"images": len(chosen), "classes": len(np.unique(chosen)), "sha256": split_hash(ids[members])}


def _published(predictions: Predictions, members: Members) -> dict[str, Any]:
    # A bit an image: 8 kB for ImageNet-LT, where the positions of its larger sets would be 300 kB of JSON.
    packed = np.packbits(members, bitorder="little").tobytes()
    accuracy = _accuracy(predictions.argmax == predictions.labels, members)
    facts = _facts(predictions.ids, predictions.labels, members)
    return {"accuracy": accuracy, **facts, "members": base64.b64encode(packed).decode()}


def _unpack(text: str, images: int) -> Members | None:
    try:
        packed = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    except (binascii.Error, ValueError):
        return None
    if len(packed) != -(-images // 8):
        return None
    return np.unpackbits(packed, count=images, bitorder="little").astype(np.bool_)
