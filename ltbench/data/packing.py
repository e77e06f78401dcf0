"""Write the packed form of a dataset."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from ltbench.data.encoded import EncodedImages
from ltbench.data.pack_format import FIRST, PackedPart, encode_header, encode_index
from ltbench.data.parts import Parts
from ltbench.errors import UserError
from ltbench.system.atomic import appearing, sweep

_TOLD = 1024  # more than the header and the index's JSON text take


def write_pack(file: Path, name: str, parts: Parts, *, replace: bool = False) -> dict[str, int]:
    """Copy the images of a set, byte by byte, into one file that appears whole or not at all.

    One image is in memory at a time, and the index: 24 bytes and a name for each image.

    Args:
        file: To write.
        name: Of the set.
        parts: Of the set.
        replace: Whether a file that is there may be replaced.

    Returns:
        Images of each part.

    Raises:
        UserError: If the set's images are not encoded files, one cannot be read, the file is there, or the disk has no room.
    """
    sources = {part: source for part, source in (("train", parts.train), ("test", parts.test), ("val", parts.val)) if source}
    images = {part: source for part, source in sources.items() if isinstance(source, EncodedImages)}
    if len(images) < len(sources):
        raise UserError(f"a set must have its images in files of their own to be packed; {name!r} is one tensor in memory")
    if file.exists() and not replace:
        raise UserError(f"{str(file)!r} is there already; --force replaces it")
    _require_room(file, images)
    with _appearing(file) as stream:
        stream.write(bytes(FIRST))
        packed = [_copy(stream, part, source) for part, source in images.items()]
        start, index = stream.tell(), encode_index(name, packed)
        stream.write(index)
        stream.seek(0)
        stream.write(encode_header(start, index))
    return {part.name: len(part.labels) for part in packed}


def _copy(stream: BinaryIO, part: str, source: EncodedImages) -> PackedPart:
    offsets = np.empty(len(source.paths) + 1, np.int64)
    for index in tqdm(range(len(source.paths)), desc=f"packing {part}", unit="image", disable=None, leave=False):
        offsets[index] = stream.tell()
        stream.write(source.read(index).data)
    offsets[-1] = stream.tell()
    return PackedPart(part, *source.paths.buffer, source.labels.numpy(), offsets)


def _require_room(file: Path, images: dict[str, EncodedImages]) -> None:
    """Look at every image's size before anything is written, and name what is not there."""
    needed, missing, first = _TOLD, 0, ""
    for source in images.values():
        ends, text = source.paths.buffer
        needed += 3 * ends.nbytes + len(text)
        for index in range(len(source.paths)):
            try:
                needed += source.stored_bytes(index)
            except OSError as error:
                first = first or f"{source.paths[index]!r} ({error.strerror})"
                missing += 1
    if missing:
        raise UserError(f"{missing} images cannot be read, the first of them {first}")
    try:
        free = shutil.disk_usage(file.parent).free
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be written: {error.strerror}") from error
    if needed > free:
        raise UserError(f"{str(file.parent)!r} must have {needed / 1e9:.2f} GB free for the pack, got {free / 1e9:.2f} GB")


@contextmanager
def _appearing(file: Path) -> Iterator[BinaryIO]:
    """Open a file beside another, whose name it takes when it is whole."""
    sweep(file.parent)
    try:
        with appearing(file) as temporary, temporary.open("wb") as stream:
            yield stream
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be written: {error.strerror}") from error
