"""Images in files of their own."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from torch import Tensor

from ltbench.data.arrays import Bytes, Ints
from ltbench.data.encoded import END, EncodedImages
from ltbench.data.paths import Paths
from ltbench.errors import UserError


class FileImages(EncodedImages):
    """Read images from files."""

    def take(self, indices: Tensor) -> Self:
        """Return some of the images."""
        return replace(self, paths=self.paths.take(indices.tolist()), labels=self.labels[indices],
                       groups=None if self.groups is None else self.groups[indices.numpy()])

    def state(self) -> bytes:
        """Return every file's size and time of change."""
        return np.ascontiguousarray(sizes_and_times(self.paths), dtype="<i8").tobytes()

    def require_ends(self) -> None:
        """Look for the first and the last file, so that a missing folder is found before the training."""
        for index in (0, len(self.paths) - 1):
            path = self.paths[index]
            if not Path(path).is_file():
                # A user's own are where the typed path says.
                hint = "" if self.content else "; say where the images are with --data-root or LTBENCH_DATA"
                raise UserError(f"image {path!r} is not there{hint}")

    def stored_bytes(self, index: int) -> int:
        """Return a file's size."""
        return os.stat(self.paths[index]).st_size

    def read(self, index: int) -> Bytes:
        """Return a file's content."""
        return self._read(self.paths[index], 0)

    def read_end(self, index: int) -> Bytes:
        """Return a file's last bytes."""
        return self._read(self.paths[index], END)

    def _read(self, path: str, end: int) -> Bytes:
        """Return a file's content.

        Args:
            end: How many of the last bytes; 0 for all.
        """
        try:
            # Two thirds of the time that np.fromfile takes.
            with open(path, "rb", buffering=0, opener=_at_once) as file:
                held = os.fstat(file.fileno())
                if not stat.S_ISREG(held.st_mode):
                    raise UserError(f"image {path!r} is no file")
                if end:
                    file.seek(max(0, held.st_size - end))
                return np.frombuffer(file.readall(), np.uint8)
        except FileNotFoundError as error:
            raise UserError(f"image {path!r} is not there") from error
        except OSError as error:
            raise UserError(f"image {path!r} cannot be read ({type(error).__name__}: {error.strerror})") from error


def _at_once(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to would be waited for without end."""
    return os.open(path, flags | os.O_NONBLOCK)


def sizes_and_times(paths: Paths) -> Ints:
    """Return size in bytes and time of change in nanoseconds of every file, -1 for what is not there, shape (N, 2)."""
    found = np.full((len(paths), 2), -1, np.int64)
    for row, path in enumerate(paths):
        with suppress(OSError):
            state = os.stat(path)
            found[row] = state.st_size, state.st_mtime_ns
    return found
