"""Many file names in one buffer, which worker processes can share without copying it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from ltbench.data.arrays import Ints


class Paths(Sequence[str]):
    """Hold the paths of images.

    A list of strings would be copied by every worker, object by object, as their reference counts change: 437,513 names in each
    of 16 processes. A buffer and its offsets are never written to.

    Args:
        folder: That the names are relative to.
        names: As bytes, for a file's name need not be text.
    """

    def __init__(self, folder: Path, names: Iterable[bytes]) -> None:
        listed = list(names)
        self.folder = folder
        self._ends: Ints = np.cumsum([0, *map(len, listed)])
        self._text = b"".join(listed)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:  # type: ignore[override]  # no slices: nobody wants part of them as strings
        """Return one path, whatever its encoding."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        return os.path.join(self.folder, os.fsdecode(self._text[self._ends[index]:self._ends[index + 1]]))

    def names(self) -> Iterator[bytes]:
        """Return the names one by one, without the folder."""
        return (self._text[start:end] for start, end in pairwise(self._ends.tolist()))

    @property
    def digest(self) -> str:
        """Return the sha256 of the names and their order; the folder does not enter, for data may be moved."""
        digest = hashlib.sha256(self._ends.astype("<i8").tobytes())  # where a name ends: b"ab" is not b"a", b"b"
        digest.update(self._text)
        return digest.hexdigest()

    def take(self, indices: Iterable[int]) -> Paths:
        """Return some of them."""
        return Paths(self.folder, (self._text[self._ends[index]:self._ends[index + 1]] for index in indices))

    @property
    def buffer(self) -> tuple[Ints, bytes]:
        """Return where each name ends, from 0 on, shape (N + 1,), and all names as one text."""
        return self._ends, self._text

    @classmethod
    def joined(cls, folder: Path, ends: Ints, text: bytes) -> Paths:
        """Return the paths of what :attr:`buffer` gave.

        Args:
            ends: Where each name ends, from 0 on, int64, shape (N + 1,).
        """
        paths = cls(folder, ())
        paths._ends, paths._text = ends, text
        return paths

    def move(self, folder: Path) -> Paths:
        """Return the same names in another folder."""
        return Paths.joined(folder, *self.buffer)
