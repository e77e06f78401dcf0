"""Whether image files are there and can be decoded, before hours of training find out."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ltbench.data.arrays import Ints
from ltbench.data.encoded import EncodedImages
from ltbench.data.files import FileImages
from ltbench.data.stream import quiet, started, workers_alive
from ltbench.errors import UserError

_PIECE = 64  # images between two answers of a worker

Progress = Callable[[int], None]
# An image that cannot be had: its position in the part, the path of its file, and a line that names the file and says why.
Unreadable = tuple[int, str, str]


def unreadable(source: EncodedImages, workers: int, progress: Progress | None = None) -> list[Unreadable]:
    """Decode every image once and return those that fail, in order.

    Args:
        workers: Processes that decode, 0 for this one.
        progress: Called with the number of images that were tried since the last call.
    """
    pieces = [range(start, min(start + _PIECE, len(source.paths))) for start in range(0, len(source.paths), _PIECE)]
    trial = _Trial(source, pieces)
    # A generator of its own: a loader draws a seed from torch's, and a run that looks at its files must draw like any other.
    answers = started(DataLoader(trial, batch_size=None, num_workers=workers, worker_init_fn=quiet,
                                 generator=torch.Generator())) if workers else None
    found: list[Unreadable] = []
    with workers_alive():
        for piece, failed in zip(pieces, map(trial.__getitem__, range(len(pieces))) if answers is None else answers, strict=True):
            found += [(index, source.paths[index], reason) for index, reason in failed]
            if progress is not None:
                progress(len(piece))
    return found


def progress_bar(step: str, images: int) -> Progress | None:
    """Return what moves a bar on a terminal; None where nobody watches."""
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    bar = tqdm(total=images, desc=step, unit="image", leave=False)

    def move(count: int) -> None:
        bar.update(count)
        if bar.n >= images:
            bar.close()

    return move


class _Trial(Dataset[Any]):
    """Answer for a piece of a part which of its images fail, and why."""

    def __init__(self, source: EncodedImages, pieces: list[range]) -> None:
        self._source, self._pieces = source, pieces

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, number: int) -> list[tuple[int, str]]:
        return [(index, reason) for index in self._pieces[number] if (reason := self._reason(index)) is not None]

    def _reason(self, index: int) -> str | None:
        try:
            self._source.decode(np.array([index]), (None,))
        except UserError as error:
            return str(error)
        return None


@dataclass(frozen=True, eq=False)
class Presence:
    """Hold which files of a part are there.

    Args:
        sizes: Of the files in bytes, -1 where there is none, int64, shape (N,).
    """

    sizes: Ints
    problems: list[Unreadable]

    @property
    def found(self) -> int:
        """How many are there."""
        return int((self.sizes >= 0).sum())


def look(source: EncodedImages) -> Presence:
    """Ask the file system for every file, without opening it; what lies in a tar is known to be there."""
    sizes = np.full(len(source.paths), -1, dtype=np.int64)
    problems = []
    for index in range(len(sizes)):
        sizes[index], reason = _state(source, index)
        if reason is not None:
            path = source.paths[index]
            problems.append((index, path, f"image {path!r} {reason}"))
    return Presence(sizes, problems)


def _state(source: EncodedImages, index: int) -> tuple[int, str | None]:
    """Return an image's bytes, -1 where it is not there, and what is wrong with it."""
    try:
        if not isinstance(source, FileImages):
            size = source.stored_bytes(index)
        else:
            state = os.stat(source.paths[index])
            if not stat.S_ISREG(state.st_mode):
                return -1, "is no file"
            size = state.st_size
    except (FileNotFoundError, NotADirectoryError):
        return -1, "is not there"
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        return -1, f"cannot be read ({getattr(error, 'strerror', None) or error})"
    return size, None if size else "is empty"
