"""Images that lie, as the bytes of their files, in the rows of a Hugging Face dataset."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from torch import Tensor

from ltbench.data.arrays import Bytes, Ints
from ltbench.data.encoded import END, EncodedImages
from ltbench.errors import UserError, brief


@dataclass(frozen=True, eq=False)
class HubImages(EncodedImages):
    """Read images from a memory-mapped table, row by row.

    Args:
        rows: A ``datasets.Dataset`` in the format of Arrow, with one column of images that are not decoded.
        places: Each image's row, int64, shape (N,).
        sizes: How many bytes each image has, -1 where there are none, int64, shape (N,).
    """

    rows: Any
    places: Ints
    sizes: Ints

    def take(self, indices: Tensor) -> Self:
        """Return some of the images."""
        chosen = indices.numpy()
        return replace(self, paths=self.paths.take(indices.tolist()), labels=self.labels[indices], places=self.places[chosen],
                       sizes=self.sizes[chosen], groups=None if self.groups is None else self.groups[chosen])

    def state(self) -> bytes:
        """Return size and time of change of the table's files, and which rows the images are."""
        states = [os.stat(file["filename"]) for file in self.rows.cache_files]
        files = np.array([[state.st_size, state.st_mtime_ns] for state in states], dtype=np.int64)
        return b"".join(np.ascontiguousarray(part, dtype="<i8").tobytes() for part in (files, self.places, self.sizes))

    def stored_bytes(self, index: int) -> int:
        """Return how many bytes an image has."""
        size = int(self.sizes[index])
        if size < 0:
            raise FileNotFoundError(self.paths[index])
        return size

    def read(self, index: int) -> Bytes:
        """Return an image's bytes."""
        try:
            content = self.rows[int(self.places[index])].column(0)[0].as_py()["bytes"]
        except Exception as error:  # a damaged table fails in many ways
            raise UserError(f"image {self.paths[index]!r} cannot be read ({brief(error)})") from error
        if content is None:
            raise UserError(f"image {self.paths[index]!r} is not there")
        return np.frombuffer(content, np.uint8)

    def read_end(self, index: int) -> Bytes:
        """Return an image's last bytes."""
        return self.read(index)[-END:]
