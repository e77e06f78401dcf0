"""Images that are the same, byte for byte or pixel for pixel.

Not all files are read for that: sizes are compared first, then the ends of files whose size recurs, and whole files where size
and end agree.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch

from ltbench.data.arrays import Bytes, Ints
from ltbench.data.encoded import EncodedImages
from ltbench.data.parts import ImageSource
from ltbench.errors import UserError
from ltbench.system.threads import in_threads

_THREADS = 8  # reading waits for the disk
_CHUNK = 256  # images in memory that are digested at a time
_BYTES = 8  # of a digest: two files of ten million share theirs by accident once in 400,000 times

_Image: TypeAlias = tuple[EncodedImages, int]


def first_copies(sources: Sequence[EncodedImages], *, between: bool = False) -> Ints:
    """Return of every image the first that has its content; what cannot be read has no copy.

    Args:
        sources: Whose images are numbered one after the other.
        between: Whether only images matter that have a copy in another source; all others then stand for themselves.

    Returns:
        Positions, int64, shape (N,).
    """
    images = [(source, index) for source in sources for index in range(len(source.paths))]
    owners = np.repeat(np.arange(len(sources)), [len(source.paths) for source in sources]) if between else np.arange(len(images))
    sizes = np.array([size for source in sources for size in stored_sizes(source)], dtype=np.int64)
    kept = np.flatnonzero(sizes > 0)
    kept, groups = _recurring(kept, sizes[kept], owners)
    for read in (_read_end, _read):
        digests = _digests([images[position] for position in kept.tolist()], read)
        kept, groups = _recurring(kept, _pairs(groups, digests), owners)
    originals = np.arange(len(images))
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    originals[kept] = kept[first[inverse]]
    return originals


def first_pixels(source: ImageSource) -> Ints:
    """Return of every image the first that has its pixels, as positions, int64, shape (N,)."""
    _, first, inverse = np.unique(pixel_digests(source), return_index=True, return_inverse=True)
    return np.asarray(first[inverse], dtype=np.int64)


def pixel_digests(source: ImageSource) -> Ints:
    """Return a digest of each image's pixels, shape (N,): for images in memory, for all are fetched."""
    count = len(source.labels)
    chunks = (source.fetch(torch.arange(start, min(start + _CHUNK, count))) for start in range(0, count, _CHUNK))
    return np.fromiter((digest_of(image) for pixels in chunks for image in pixels.cpu().contiguous().numpy()), np.int64, count)


def digest_of(content: Bytes) -> int:
    """Return a digest of what an array holds, as a number of 64 bits with a sign."""
    return int.from_bytes(hashlib.blake2b(content.data, digest_size=_BYTES).digest(), "little", signed=True)


def stored_sizes(source: EncodedImages) -> list[int]:
    """Return how many bytes each image has, -1 where it is not there."""
    return [_size(source, index) for index in range(len(source.paths))]


def _size(source: EncodedImages, index: int) -> int:
    try:
        return source.stored_bytes(index)
    except OSError:
        return -1


def _recurring(kept: Ints, groups: Ints, owners: Ints) -> tuple[Ints, Ints]:
    """Keep the images of groups that have two owners at least."""
    _, numbers = np.unique(groups, return_inverse=True)
    owned = np.unique(numbers * len(owners) + owners[kept]) // max(len(owners), 1)  # a group, as often as it has owners
    wanted = np.bincount(owned, minlength=len(kept))[numbers] > 1
    return kept[wanted], groups[wanted]


def _pairs(a: Ints, b: Ints) -> Ints:
    """Number pairs of numbers: equal pairs get equal ones."""
    (_, first), (_, second) = (np.unique(values, return_inverse=True) for values in (a, b))
    return np.asarray(first * max(len(b), 1) + second, dtype=np.int64)


def _digests(images: list[_Image], read: Callable[[_Image], Bytes]) -> Ints:
    def digest(image: _Image) -> int:
        try:
            return digest_of(read(image))
        except UserError:  # whoever decodes it will say why
            return digest_of(np.frombuffer(os.fsencode(image[0].paths[image[1]]), np.uint8))

    return np.fromiter(in_threads(digest, images, _THREADS), np.int64, len(images))


def _read_end(image: _Image) -> Bytes:
    source, index = image
    return source.read_end(index)


def _read(image: _Image) -> Bytes:
    source, index = image
    return source.read(index)
