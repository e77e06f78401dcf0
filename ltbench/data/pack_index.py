"""The index of a packed dataset, ``index.jsonl`` beside its tar shards: names, labels and where each image lies.

The first line holds the format's version, the set's name and the sha256 of all that follows; then one line a shard says what is
in it, image by image, in the order of the set::

    {"version": 1, "dataset": "inat18", "sha256": "..."}
    {"shard": "train-000000.tar", "part": "train", "bytes": 10240,
     "names": ["train_val2018/Plantae/7477/a.jpg"], "labels": [4], "offsets": [512], "sizes": [81234]}

An image's member in the tar is called after its place in the part, ``000000000.jpg``, and its label stands in ``000000000.cls``.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ltbench.data.encoded import ENDINGS
from ltbench.data.tar_images import BLOCK
from ltbench.errors import UserError

NAME = "index.jsonl"
VERSION = 1


@dataclass
class Shard:
    """List the images of one tar file.

    Args:
        part: ``train``, ``test`` or ``val``.
        names: Of the images' files in the set; what is no text is escaped as :func:`os.fsdecode` does it.
        offsets: Where each image's bytes begin.
        sizes: How many bytes each image has.
    """

    shard: str
    part: str
    bytes: int = 0
    names: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        columns = (self.labels, self.offsets, self.sizes)
        numbers = all(type(number) is int for column in columns for number in column)
        if not numbers or not all(isinstance(name, str) for name in self.names) or len({len(self.names), *map(len, columns)}) > 1:
            raise ValueError("every image must have a name and three whole numbers")
        if os.path.basename(self.shard) != self.shard:
            raise ValueError(f"a shard must lie beside the index, got {self.shard!r}")


def member_name(row: int, name: bytes) -> str:
    """Return what an image is called in the tar: readers of tars know one by its ending, and look into it for what it is.

    Args:
        row: Place of the image in its part.
    """
    ending = next((ending.decode() for ending in ENDINGS if name.lower().endswith(ending)), ".jpg")
    return f"{row:09d}{ending}"


def encode_index(dataset: str, shards: Iterable[Shard]) -> bytes:
    """Return the file's content.

    Args:
        shards: Part by part, in the order of the images.
    """
    lines = "".join(json.dumps(asdict(shard), separators=(",", ":")) + "\n" for shard in shards).encode()
    head = {"version": VERSION, "dataset": dataset, "sha256": hashlib.sha256(lines).hexdigest()}
    return json.dumps(head).encode() + b"\n" + lines


def read_index(folder: Path) -> tuple[str, list[Shard]]:
    """Read the index of a pack and check that it is whole and that its shards fit it; no image is read.

    Returns:
        The set's name, and its shards.

    Raises:
        UserError: If the index cannot be read, is damaged or is of another version, or if a shard is not there, is cut or is not
            the one that was packed, naming it.
    """
    file = folder / NAME
    try:
        head, _, lines = file.read_bytes().partition(b"\n")
        told = json.loads(head)
        version, name, digest = told["version"], str(told["dataset"]), told["sha256"]
        if version != VERSION:
            raise UserError(f"{str(file)!r} must have format version {VERSION}, got {version!r}: pack the set again")
        if hashlib.sha256(lines).hexdigest() != digest:
            raise UserError(f"{str(file)!r} is cut or damaged: its lines do not have the sha256 that the first one tells")
        shards = [Shard(**json.loads(line)) for line in lines.splitlines()]
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{str(file)!r} must be the index of a pack ({type(error).__name__}: {error})") from error
    rows: dict[str, int] = {}
    for shard in shards:
        _check(folder / shard.shard, shard, rows.get(shard.part, 0))
        rows[shard.part] = rows.get(shard.part, 0) + len(shard.names)
    return name, shards


def _check(file: Path, shard: Shard, first: int) -> None:
    """Compare a shard's size, and the headers of its first and last image, with the index."""
    try:
        size = file.stat().st_size
        if size != shard.bytes:
            raise UserError(f"{str(file)!r} is cut or not the one that was packed: it must have {shard.bytes} bytes, got {size}")
        with file.open("rb") as stream:
            for place in sorted({0, len(shard.names) - 1} - {-1}):
                stream.seek(max(shard.offsets[place] - BLOCK, 0))
                member = tarfile.TarInfo.frombuf(stream.read(BLOCK), "utf-8", "surrogateescape")
                wanted = member_name(first + place, os.fsencode(shard.names[place]))
                if (member.name, member.size) != (wanted, shard.sizes[place]):
                    raise UserError(f"{str(file)!r} is damaged or not the one that was packed: it must hold {wanted!r} at byte "
                                    f"{shard.offsets[place]}, got {member.name!r}")
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be read: {error.strerror}") from error
    except tarfile.TarError as error:
        raise UserError(f"{str(file)!r} is damaged or not the one that was packed ({error})") from error
