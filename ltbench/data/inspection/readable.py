"""Which images cannot be decoded, found by decoding all of them once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ltbench.data.files import FileImages
from ltbench.errors import UserError

_PIECE = 64  # images that a worker takes at a time

Unreadable = tuple[int, str, str]


def unreadable(source: FileImages, workers: int, progress: Callable[[int], None] = lambda images: None) -> list[Unreadable]:
    """Decode every image.

    Args:
        source: Of the images.
        workers: Processes that decode; 0 for none beside this one.
        progress: Called with the number of images that have been decoded since it was called last.

    Returns:
        Position, path and reason of each image that cannot be decoded, in order.
    """
    # A generator of its own, for a loader draws a seed: a look must leave what is trained after it as it was.
    loader = DataLoader(_Pieces(source), batch_size=None, num_workers=workers, worker_init_fn=_quiet, generator=torch.Generator())
    found = []
    for number, bad in enumerate(loader):
        found += [(index, source.paths[index], reason) for index, reason in bad]
        progress(min(_PIECE, len(source.paths) - number * _PIECE))
    return found


class _Pieces(Dataset[Any]):
    """Decode a piece of the images, one by one, in a worker or at home."""

    def __init__(self, source: FileImages) -> None:
        self._source = source

    def __len__(self) -> int:
        return -(-len(self._source.paths) // _PIECE)

    def __getitem__(self, number: int) -> list[tuple[int, str]]:
        bad = []
        for index in range(number * _PIECE, min((number + 1) * _PIECE, len(self._source.paths))):
            try:
                self._source.decode(np.array([index]), (None,))
            except UserError as error:
                bad.append((index, str(error)))
        return bad


def _quiet(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # at Ctrl-C the main process ends the workers
