"""Images that must stay together where some are set apart: those of one patient, one video, one burst of a camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from ltbench.data.arrays import Ints
from ltbench.data.labels import same_texts

Bools = npt.NDArray[np.bool_]


def joined(first: Ints, second: Ints) -> Ints:
    """Return which images hang together, directly or through others, where two ways of saying so are given.

    Args:
        first: Number of each image's group in one way, shape (N,); ``second`` likewise.

    Returns:
        Numbers from 0, in the order in which groups first occur, shape (N,).
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    (_, rows), (_, columns) = (np.unique(numbers, return_inverse=True) for numbers in (first, second))
    size = int(rows.max(initial=-1)) + 1
    nodes = size + int(columns.max(initial=-1)) + 1
    links = coo_matrix((np.ones(len(rows)), (rows, size + columns)), shape=(nodes, nodes))
    _, found = connected_components(links, directed=False)
    _, start, numbers = np.unique(found[rows], return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(start))[numbers], dtype=np.int64)


def draw_groups(labels: Ints, groups: Ints, wanted: Ints, generator: np.random.Generator, weights: Ints | None = None) -> Bools:
    """Choose whole groups, so that each class gives about as many images as are wanted and keeps one at least.

    Groups are taken in random order where no class then gives more than is wanted. A class that gives none by that, as its groups
    are large, gives the smallest that leaves every class an image.

    Args:
        labels: Class of each image, shape (N,).
        groups: Its group's number, shape (N,).
        wanted: Images of each class to choose, 0 for a class that gives none, shape (C,).
        weights: What each image counts for, 0 or 1, shape (N,): copies count once. None: each counts.

    Returns:
        Which images are chosen, shape (N,). A class that cannot give any has none there.
    """
    if not len(labels):
        return np.zeros(0, dtype=bool)
    weights = np.ones(len(labels), np.int64) if weights is None else weights
    _, groups = np.unique(groups, return_inverse=True)
    order = np.lexsort((labels, groups))
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1) | np.diff(labels[order], prepend=-1))
    # Of each group its classes, and how many images of each. Lists, for most groups are small: seven times as quick as arrays.
    held: list[list[tuple[int, int]]] = [[] for _ in range(int(groups.max()) + 1)]
    for group, k, count in zip(groups[order][starts].tolist(), labels[order][starts].tolist(),
                               np.add.reduceat(weights[order], starts).tolist(), strict=True):
        held[group].append((k, count))
    left = np.bincount(labels, weights=weights, minlength=len(wanted)).astype(np.int64).tolist()
    most, taken = wanted.tolist(), [0] * len(wanted)
    chosen = np.zeros(len(held), dtype=bool)

    def take(group: int) -> None:
        for k, count in held[group]:
            taken[k] += count
            left[k] -= count
        chosen[group] = True

    drawn = generator.permutation(len(held)).tolist()
    for group in drawn:
        if all(taken[k] + count <= most[k] for k, count in held[group]):
            take(group)
    for k in np.flatnonzero(wanted > 0).tolist():
        if taken[k]:  # a group taken for an earlier class may hold some of this one
            continue
        fitting = [group for group in drawn if not chosen[group] and any(k == own for own, _ in held[group])
                   and all(left[own] > count for own, count in held[group])]
        if fitting:
            take(min(fitting, key=lambda group: sum(count for _, count in held[group])))
    return chosen[groups]


def group_numbers(texts: Sequence[str], parts: Mapping[str, Sequence[int]]) -> tuple[Ints, str | None]:
    """Number groups over all parts of a set; who has none is a group of its own.

    Where all are whole numbers they are compared as such: ``1.0``, as pandas writes it beside an empty cell, is ``1``.

    Args:
        texts: Each image's group as it is written, empty where it has none, of N images.
        parts: Positions of each part's images.

    Returns:
        Each image's group, shape (N,), and what is wrong where a group stands in two parts.
    """
    named = [text for text in texts if text]
    first: dict[str, str] = {}  # the first way in which a group is written stands for all
    spelled = iter([first.setdefault(plain, text) for plain, text in zip(same_texts(named), named, strict=True)])
    known = [next(spelled) if text else f"\0{row}" for row, text in enumerate(texts)]
    wrong = None
    for one, other in combinations(parts, 2):
        if both := {known[row] for row in parts[one]} & {known[row] for row in parts[other]}:
            wrong = f"images of one group must be in one part, got {min(both)!r} in {one} and {other}"
    return np.unique(known, return_inverse=True)[1].astype(np.int64), wrong
