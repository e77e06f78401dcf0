"""What files hold, as far as it can be told without reading all of them."""

from __future__ import annotations

import hashlib
import os

import numpy as np

from ltbench.data.arrays import Ints
from ltbench.data.paths import Paths

_READ = 64  # files that are read whole


def sizes_and_times(paths: Paths) -> Ints:
    """Return size in bytes and time of change in nanoseconds of every file, -1 for what is not there, shape (N, 2)."""
    found = np.full((len(paths), 2), -1, np.int64)
    for row, path in enumerate(paths):
        try:
            state = os.stat(path)
        except OSError:
            continue
        found[row] = state.st_size, state.st_mtime_ns
    return found


def content_digest(paths: Paths) -> str:
    """Return a digest of every file's size and of 64 files' bytes, evenly spaced; copies elsewhere have the same one.

    Names alone do not tell one user's ``cats/1.jpg`` from another's, nor from the same one scaled down.

    Args:
        paths: Of the files.
    """
    digest = hashlib.sha256(np.ascontiguousarray(sizes_and_times(paths)[:, 0], dtype="<i8").tobytes())
    for index in np.unique(np.linspace(0, len(paths) - 1, _READ).astype(int)).tolist() if len(paths) else ():
        try:
            with open(paths[index], "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError:
            digest.update(b"-")  # whoever decodes it will say why
    return digest.hexdigest()
