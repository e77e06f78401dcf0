"""Rows of numbers that stay on disk: mapped into memory, walked through in blocks, and let go of behind the reader."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import BinaryIO
from weakref import WeakValueDictionary

import torch
from torch import Tensor

_BLOCK = 1 << 25  # bytes of a block: 4,096 rows of 2,048 features
_MAPPINGS: WeakValueDictionary[int, mmap.mmap] = WeakValueDictionary()  # by the address of the tensors' storage


def map_rows(file: BinaryIO, width: int) -> Tensor:
    """Return a file of float32 rows as a tensor that is read from disk as it is used, shape (N, D).

    What is written to the tensor never reaches the file (and is lost at the next :func:`release`).

    Args:
        file: Open for reading, at least one row long; it may be closed and removed afterwards.
        width: D.
    """
    # A private mapping: torch warns of memory that cannot be written, and a method that did write would end the process.
    mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    rows = torch.frombuffer(mapping, dtype=torch.float32).view(-1, width)
    _MAPPINGS[rows.untyped_storage().data_ptr()] = mapping
    return rows


def release(rows: Tensor) -> None:
    """Let go of the memory that a mapped tensor, or a part of one, has taken up; what is read again comes from the file.

    The system keeps the file's pages as long as nothing else needs the room, so reading again is cheap. Of other tensors
    nothing is released.

    Args:
        rows: Any tensor.
    """
    if rows.device.type == "cpu":
        mapping = _MAPPINGS.get(rows.untyped_storage().data_ptr())
        if mapping is not None and hasattr(mapping, "madvise"):
            mapping.madvise(mmap.MADV_DONTNEED)


def row_blocks(features: Tensor, labels: Tensor, rows: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield features and labels in blocks, in order, on the device of the labels.

    The features of a whole training part may be larger than memory: they then stay on disk, and this is the way through them.

    Args:
        features: Shape (N, D), in memory, mapped from disk, or on a device.
        labels: Shape (N,).
        rows: Of a block; None for what takes 32 MiB.

    Yields:
        Shapes (n, D) and (n,).
    """
    rows = rows or max(1, _BLOCK // max(1, features.shape[1] * features.element_size()))
    for start in range(0, len(labels), rows):
        part = slice(start, start + rows)
        yield features[part].to(labels.device), labels[part]
        release(features)
