"""Rows of numbers that stay on disk: mapped into memory, walked through in blocks, and let go of behind the reader."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from typing import BinaryIO
from weakref import WeakValueDictionary, finalize

import torch
from torch import Tensor

_BLOCK = 1 << 23  # bytes of a block: 1,024 rows of 2,048 features; who computes in float64 holds several times that


class _Mapping(mmap.mmap):
    """Hold a descriptor of the mapped file as well, to read single rows from."""

    descriptor: int


_MAPPINGS: WeakValueDictionary[int, _Mapping] = WeakValueDictionary()  # by the address of the tensors' storage


def map_rows(file: BinaryIO, width: int) -> Tensor:
    """Return a file of float32 rows as a tensor that is read from disk as it is used, shape (N, D).

    What is written to the tensor never reaches the file (and is lost at the next :func:`release`).

    Args:
        file: Open for reading, at least one row long; it may be closed and removed afterwards.
    """
    # A private mapping: torch warns of memory that cannot be written, and a method that did write would end the process.
    mapping = _Mapping(file.fileno(), 0, access=mmap.ACCESS_COPY)
    mapping.descriptor = os.dup(file.fileno())
    finalize(mapping, os.close, mapping.descriptor)
    rows = torch.frombuffer(mapping, dtype=torch.float32).view(-1, width)
    _MAPPINGS[rows.untyped_storage().data_ptr()] = mapping
    return rows


def release(rows: Tensor) -> None:
    """Let go of the memory that a mapped tensor, or a part of one, has taken up; what is read again comes from the file.

    The system keeps the file's pages as long as nothing else needs the room, so reading again is cheap. Of other tensors
    nothing is released.
    """
    if rows.device.type == "cpu":
        mapping = _MAPPINGS.get(rows.untyped_storage().data_ptr())
        if mapping is not None and hasattr(mapping, "madvise"):
            mapping.madvise(mmap.MADV_DONTNEED)


def take_rows(rows: Tensor, where: Tensor) -> Tensor:
    """Return some rows, in the order asked for, shape (B, D).

    Of a mapped file they are read and not touched in the mapping, where every row would bring up to 2 MiB of its neighbors into
    the process's memory: after 16 batches of 512 rows, all of a bank of 3.6 GB was there.

    Args:
        rows: Shape (N, D).
        where: Positions, int64, shape (B,), on the device of the rows.
    """
    mapping = _MAPPINGS.get(rows.untyped_storage().data_ptr()) if rows.device.type == "cpu" else None
    if mapping is None or not (rows.is_contiguous() and hasattr(os, "pread")):
        return rows.index_select(0, where)
    size, first = rows.shape[1] * rows.element_size(), rows.storage_offset() * rows.element_size()
    read = b"".join(os.pread(mapping.descriptor, size, first + size * position) for position in where.tolist())
    return torch.frombuffer(bytearray(read), dtype=rows.dtype).view(len(where), -1)


def row_blocks(features: Tensor, labels: Tensor, rows: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield features and labels in blocks, in order, on the device of the labels.

    The features of a whole training part may be larger than memory: they then stay on disk, and this is the way through them.

    Args:
        features: Shape (N, D), in memory, mapped from disk, or on a device.
        labels: Shape (N,).
        rows: Of a block; None for what takes 8 MiB.
    """
    rows = rows or max(1, _BLOCK // max(1, features.shape[1] * features.element_size()))
    for start in range(0, len(labels), rows):
        part = slice(start, start + rows)
        yield features[part].to(labels.device), labels[part]
        release(features)
