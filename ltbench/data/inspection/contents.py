"""Images that are the same, byte for byte: in the training and in the test part, they leak what is tested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, combinations
from typing import NamedTuple

import numpy as np

from ltbench.data.arrays import Ints
from ltbench.data.copies import digest_of, pixel_digests
from ltbench.data.encoded import EncodedImages
from ltbench.data.inspection.findings import Finding
from ltbench.data.parts import ImageSource
from ltbench.errors import UserError
from ltbench.system.threads import in_threads


class Digests(NamedTuple):
    """Hold what tells the images of a part apart."""

    indices: Ints  # which images, shape (M,)
    values: Ints  # the digest of each, shape (M,)


def digests(sources: Mapping[str, ImageSource], sizes: Mapping[str, Ints], threads: int, *, full: bool) -> dict[str, Digests]:
    """Digest the images of every part: files by their bytes, images in memory by their pixels.

    Args:
        sizes: Bytes of the files of each part, -1 where there is none, shape (N,); parts in memory have no entry.
        full: Whether to read every file; else only those whose size a file of another part has, for no others can agree.
    """
    found = {}
    for part, source in sources.items():
        if isinstance(source, EncodedImages):
            others = [size for name, size in sizes.items() if name != part]
            wanted = sizes[part] > 0
            if not full:
                wanted &= np.isin(sizes[part], np.concatenate([np.empty(0, np.int64), *others]))
            pairs = _of_files(source, np.flatnonzero(wanted), threads)
            table = np.fromiter(chain.from_iterable(pairs), np.int64).reshape(-1, 2)
            found[part] = Digests(table[:, 0], table[:, 1])
        else:
            found[part] = Digests(np.arange(len(source.labels)), pixel_digests(source))
    return found


def between_parts(sources: Mapping[str, ImageSource], found: Mapping[str, Digests]) -> list[Finding]:
    """Report each image of a part that an earlier part holds too.

    One file that two lists name is left out: it is reported as such.
    """
    findings = []
    for one, other in combinations(found, 2):
        order = np.argsort(found[one].values, kind="stable")
        values = found[one].values[order]
        starts, ends = (np.searchsorted(values, found[other].values, side=side) for side in ("left", "right"))
        for place in np.flatnonzero(ends > starts):
            name = _name(sources[other], found[other].indices[place])
            same = (_name(sources[one], found[one].indices[index]) for index in order[starts[place]:ends[place]])
            match = next((twin for twin in same if twin != name or not isinstance(sources[one], EncodedImages)), None)
            if match is not None:
                findings.append(Finding("duplicate", f"{other} image {name} has the content of {one} image {match}"))
    return findings


def within_part(part: str, source: ImageSource, found: Digests) -> str | None:
    """Say how many images of a part repeat an earlier one of it; None if none does."""
    order = np.argsort(found.values, kind="stable")
    again = np.flatnonzero(found.values[order][1:] == found.values[order][:-1])
    if not len(again):
        return None
    labels = source.labels.cpu().numpy()[found.indices[order]]
    moved = int((labels[again] != labels[again + 1]).sum())
    return f"{part}: images that repeat the content of another: {len(again):,}, of another class: {moved:,}"


def _of_files(source: EncodedImages, indices: Ints, threads: int) -> Iterator[tuple[int, int]]:
    # Reading waits for the disk, and digesting lets other threads run.
    read = in_threads(lambda index: _content_digest(source, index), indices.tolist(), max(1, threads))
    yield from ((index, digest) for index, digest in zip(indices.tolist(), read, strict=True) if digest is not None)


def _content_digest(source: EncodedImages, index: int) -> int | None:
    try:
        return digest_of(source.read(index))
    except UserError:  # reported where files are looked for and decoded
        return None


def _name(source: ImageSource, index: int) -> str:
    return repr(source.paths[index]) if isinstance(source, EncodedImages) else str(index)
