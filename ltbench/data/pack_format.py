"""The packed form of a dataset: one file with the images' own bytes, and an index of them behind.

    magic          16 bytes
    header         format version, uint32; where the index begins and its length, uint64; its sha256, 32 bytes
    images         as they were in their files, one after the other
    index          length of the JSON text, uint64; the text: the set's name, and of each part its name, its number of images and
                   the length of its names; then for each part the ends of its names, its names, its labels, and where its images
                   begin and the last one ends

Numbers are little-endian, those of the index int64. Nothing in it is executed by reading it.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ltbench.data.arrays import Bytes, Ints
from ltbench.errors import UserError

ENDING = ".ltpack"
VERSION = 1
MAGIC = b"ltbench pack\r\n\x1a\n"
_HEADER = struct.Struct("<IQQ32s")
FIRST = len(MAGIC) + _HEADER.size


@dataclass(frozen=True, eq=False)
class PackedPart:
    """Say where the images of one part lie.

    Args:
        name: ``train``, ``test`` or ``val``.
        ends: Where each name ends in ``text``, from 0 on, int64, shape (N + 1,).
        text: All names.
        labels: int64, shape (N,).
        offsets: Where each image begins in the file, and where the last one ends, int64, shape (N + 1,).
    """

    name: str
    ends: Ints
    text: bytes
    labels: Ints
    offsets: Ints


def encode_index(dataset: str, parts: list[PackedPart]) -> bytes:
    """Return the index.

    Args:
        dataset: Name of the set.
        parts: In the order of their images.
    """
    told = json.dumps({"dataset": dataset, "parts": [{"name": part.name, "images": len(part.labels), "names": len(part.text)}
                                                     for part in parts]}).encode()
    arrays = (content for part in parts for content in (_raw(part.ends), part.text, _raw(part.labels), _raw(part.offsets)))
    return b"".join([len(told).to_bytes(8, "little"), told, *arrays])


def encode_header(start: int, index: bytes) -> bytes:
    """Return what the file begins with.

    Args:
        start: Of the index.
        index: Encoded.
    """
    return MAGIC + _HEADER.pack(VERSION, start, len(index), hashlib.sha256(index).digest())


def read_index(file: Path) -> tuple[str, list[PackedPart]]:
    """Read a pack's index and check that it is whole; of the images only where they lie is looked at.

    Args:
        file: The pack.

    Returns:
        The set's name, and its parts.

    Raises:
        UserError: If the file cannot be read, is no pack, is one of another version, or is cut or damaged, naming it.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(FIRST)
            if head[:len(MAGIC)] != MAGIC:
                raise UserError(f"{str(file)!r} must be a file that 'ltbench data pack' wrote; it begins in another way")
            if len(head) < FIRST:
                raise UserError(f"pack {str(file)!r} is cut: it ends within its first {FIRST} bytes")
            version, start, length, digest = _HEADER.unpack(head[len(MAGIC):])
            if version != VERSION:
                raise UserError(f"pack {str(file)!r} must have format version {VERSION}, got {version}: pack the set again")
            size = stream.seek(0, 2)
            if size != start + length:
                raise UserError(f"pack {str(file)!r} is cut or damaged: it must have {start + length} bytes, got {size}")
            stream.seek(start)
            index = stream.read(length)
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be read: {error.strerror}") from error
    if hashlib.sha256(index).digest() != digest:
        raise UserError(f"pack {str(file)!r} is damaged: its index does not have the sha256 that its header tells")
    try:
        name, parts = _decode_index(index)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"pack {str(file)!r} has an index that cannot be read ({type(error).__name__}: {error})") from error
    for part in parts:
        if not _rises(part.offsets, FIRST, start) or not _rises(part.ends, 0, len(part.text)):
            raise UserError(f"pack {str(file)!r} has an index that points outside of the file, in part {part.name!r}")
    return name, parts


def _decode_index(index: bytes) -> tuple[str, list[PackedPart]]:
    begin = 8 + int.from_bytes(index[:8], "little")
    told: dict[str, Any] = json.loads(index[8:begin])
    parts = []
    for part in told["parts"]:
        count, width = int(part["images"]), int(part["names"])
        ends, begin = _numbers(index, begin, count + 1)
        text, begin = index[begin:begin + width], begin + width
        labels, begin = _numbers(index, begin, count)
        offsets, begin = _numbers(index, begin, count + 1)
        parts.append(PackedPart(str(part["name"]), ends, text, labels, offsets))
    if begin != len(index):
        raise ValueError(f"it must have {begin} bytes, got {len(index)}")
    return str(told["dataset"]), parts


def _numbers(index: bytes, begin: int, count: int) -> tuple[Ints, int]:
    return np.frombuffer(index, "<i8", count, begin).astype(np.int64), begin + 8 * count


def _raw(numbers: Ints) -> bytes:
    return numbers.astype("<i8").tobytes()


def _rises(numbers: Ints, first: int, last: int) -> bool:
    return bool(numbers[0] >= first and numbers[-1] <= last and (numbers[1:] >= numbers[:-1]).all())


class MappedFile:
    """Map a file's bytes into memory, once a process: those of a spawned worker map it anew instead of receiving a copy.

    Args:
        file: Not changed while it is mapped; what replaces it is another file.
    """

    def __init__(self, file: Path) -> None:
        self.path = file
        self._bytes: Bytes = np.memmap(file, np.uint8, mode="r")

    def __reduce__(self) -> tuple[type[MappedFile], tuple[Path]]:
        return MappedFile, (self.path,)

    def __getitem__(self, place: slice) -> Bytes:
        """Return a copy of some bytes."""
        return np.array(self._bytes[place])
