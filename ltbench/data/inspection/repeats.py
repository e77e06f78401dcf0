"""Files that the lists of a dataset name more than once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from ltbench.data.arrays import Ints
from ltbench.data.encoded import EncodedImages
from ltbench.data.inspection.findings import Finding


def repeated(sources: Mapping[str, EncodedImages]) -> list[Finding]:
    """Report files that one list names more than once, or the lists of two parts."""
    hashes = {name: _hashes(source) for name, source in sources.items()}
    found = [finding for name, source in sources.items() for finding in _listed_twice(name, source, hashes[name])]
    for one, other in combinations(sources, 2):
        found += [Finding("in two lists", f"image {sources[other].paths[index]!r} is listed in {one} and in {other}")
                  for index in np.flatnonzero(np.isin(hashes[other], hashes[one])).tolist()]
    return found


def _listed_twice(part: str, source: EncodedImages, hashes: Ints) -> Iterator[Finding]:
    order = np.argsort(hashes, kind="stable")  # of equal names the first in the list comes first
    again = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
    for index, before in sorted(zip(order[again + 1].tolist(), order[again].tolist(), strict=True)):
        labels = [int(source.labels[position]) for position in (before, index)]
        differ = "" if labels[0] == labels[1] else f", under classes {labels[0]} and {labels[1]}"
        yield Finding("listed twice", f"{part}: image {source.paths[index]!r} is listed twice{differ}")


def _hashes(source: EncodedImages) -> Ints:
    """Return 64 bits for each path, shape (N,): a set of half a million strings would take 100 MB.

    Two names of ten million share theirs by accident once in 400,000 times.
    """
    return np.fromiter((hash(source.paths[index]) for index in range(len(source.paths))), np.int64, len(source.paths))
