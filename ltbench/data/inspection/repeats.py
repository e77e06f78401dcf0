"""Files that the lists of a dataset name more than once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from ltbench.data.arrays import Ints
from ltbench.data.files import FileImages
from ltbench.data.inspection.findings import Finding


def listed_twice(part: str, source: FileImages) -> list[Finding]:
    """Report files that one list names more than once.

    Args:
        part: Its name.
        source: Its images.
    """
    hashes = _hashes(source)
    # Stable: of equal names the first in the list comes first.
    order = np.argsort(hashes, kind="stable")
    found = []
    for place in np.flatnonzero(hashes[order][1:] == hashes[order][:-1]):
        before, index = int(order[place]), int(order[place + 1])
        labels = [int(source.labels[position]) for position in (before, index)]
        differ = "" if labels[0] == labels[1] else f", under classes {labels[0]} and {labels[1]}"
        found.append((index, Finding("listed twice", f"{part}: image {source.paths[index]!r} is listed twice{differ}")))
    return [finding for _, finding in sorted(found, key=lambda pair: pair[0])]


def in_two_lists(sources: Mapping[str, FileImages]) -> list[Finding]:
    """Report files that the lists of two parts name.

    Args:
        sources: The images of each part by its name.
    """
    found = []
    hashes = {name: _hashes(source) for name, source in sources.items()}
    for one, other in combinations(hashes, 2):
        for index in np.flatnonzero(np.isin(hashes[other], hashes[one])):
            found.append(Finding("in two lists", f"image {sources[other].paths[index]!r} is listed in {one} and in {other}"))
    return found


def _hashes(source: FileImages) -> Ints:
    """Return 64 bits for each path, shape (N,): a set of half a million strings would take 100 MB.

    Two names of ten million share theirs by accident once in 400,000 times.
    """
    return np.fromiter((hash(source.paths[index]) for index in range(len(source.paths))), np.int64, len(source.paths))
