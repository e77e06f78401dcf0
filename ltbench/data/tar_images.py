"""Images in tar files, each read by one request to the system where it lies; nothing is unpacked."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Self

import numpy as np
from torch import Tensor

from ltbench.data.arrays import Bytes, Ints
from ltbench.data.encoded import END, EncodedImages
from ltbench.errors import UserError

BLOCK = tarfile.BLOCKSIZE  # bytes of a header, which stands right before its member's content
_SIZE = slice(124, 136)  # of a header: the content's bytes, in octal digits


class Shards:
    """Read from tar files, each opened when the first of its images is wanted.

    Every process opens files of its own: a spawned worker receives the paths alone, and a forked one shares no position.

    Args:
        files: Not changed while they are read; what replaces one is another file.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self._opened: dict[int, int] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[Shards], tuple[tuple[Path, ...]]]:
        return Shards, (self.files,)

    def __del__(self) -> None:
        for handle in self._opened.values():
            os.close(handle)

    def read(self, shard: int, offset: int, size: int) -> bytes:
        """Return a member's content.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If no member of that size begins there.
        """
        found = os.pread(self._handle(shard), BLOCK + size, offset - BLOCK)
        if len(found) < BLOCK + size or int(found[_SIZE].rstrip(b" \0") or b"0", 8) != size:
            raise ValueError(f"{str(self.files[shard])!r} was cut or changed")
        return found[BLOCK:]

    def read_end(self, shard: int, offset: int, size: int) -> bytes:
        """Return the last bytes of a member's content, without a look at its header.

        Raises:
            OSError: If the file cannot be read.
        """
        length = min(END, size)
        return os.pread(self._handle(shard), length, offset + size - length)

    def _handle(self, shard: int) -> int:
        with self._lock:  # threads that digest share it
            if shard not in self._opened:
                self._opened[shard] = os.open(self.files[shard], os.O_RDONLY)
            return self._opened[shard]

    def states(self) -> Ints:
        """Return size and time of change of every file, shape (F, 2)."""
        found = [os.stat(file) for file in self.files]
        return np.array([[state.st_size, state.st_mtime_ns] for state in found], dtype=np.int64).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class TarImages(EncodedImages):
    """Read images from the shards of a tar.

    Args:
        places: Of each image its shard's number, where its content begins and how many bytes it has, int64, shape (N, 3).
    """

    shards: Shards
    places: Ints

    def take(self, indices: Tensor) -> Self:
        """Return some of the images."""
        return replace(self, paths=self.paths.take(indices.tolist()), labels=self.labels[indices],
                       places=self.places[indices.numpy()],
                       groups=None if self.groups is None else self.groups[indices.numpy()])

    def state(self) -> bytes:
        """Return every shard's size and time of change, and where in them the images lie."""
        return b"".join(np.ascontiguousarray(part, dtype="<i8").tobytes() for part in (self.shards.states(), self.places))

    def stored_bytes(self, index: int) -> int:
        """Return how many bytes an image has."""
        return int(self.places[index, 2])

    def read_end(self, index: int) -> Bytes:
        """Return an image's last bytes."""
        return self._read(index, self.shards.read_end)

    def read(self, index: int) -> Bytes:
        """Return an image's bytes."""
        return self._read(index, self.shards.read)

    def _read(self, index: int, read: Callable[[int, int, int], bytes]) -> Bytes:
        try:
            return np.frombuffer(read(*self.places[index].tolist()), np.uint8)
        except OSError as error:
            raise UserError(f"image {self.paths[index]!r} cannot be read ({type(error).__name__}: {error.strerror})") from error
        except ValueError as error:
            raise UserError(f"image {self.paths[index]!r} cannot be read ({error})") from error
