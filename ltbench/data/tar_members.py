"""What a tar file holds: its images, each with the class that stands beside it, where one does."""

from __future__ import annotations

import json
import os
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ltbench.data.encoded import ENDINGS
from ltbench.data.pack_index import NAME, member_name, read_index
from ltbench.data.tar_images import BLOCK
from ltbench.data.walking import ignored
from ltbench.errors import UserError

_ENDINGS = tuple(ending.decode() for ending in ENDINGS)
_LABELS = (".cls", ".json")


class Member(NamedTuple):
    """Say where an image lies, and what it shows.

    Args:
        name: In the tar; what is no text is escaped as :func:`os.fsdecode` does it.
        offset: Where its bytes begin.
        size: How many it has.
        label: Number or name of its class; None where nothing beside it says so.
    """

    name: str
    offset: int
    size: int
    label: str | None


def read_members(files: list[Path]) -> dict[Path, list[Member]]:
    """Return the images of tar files, by an index beside them that fits and is no older, else by a look at every header.

    Files of one key belong together, as WebDataset has it: the key is all up to the first dot of a file's name. ``key.cls`` holds
    the class of the image, or ``key.json`` does under ``label``.

    Raises:
        UserError: If a file cannot be read, is no tar, or is cut or damaged; if a class cannot be read; or if one key has two
            images, or an image two classes: naming them.
    """
    indexed: dict[Path, list[Member]] = {}
    for folder in dict.fromkeys(file.parent for file in files):
        if (folder / NAME).is_file():
            indexed |= _indexed(folder)
    found = {}
    for file in files:
        try:
            found[file] = indexed[file] if file in indexed else _scanned(file)
        except OSError as error:
            raise UserError(f"{str(file)!r} cannot be read: {error.strerror}") from error
        except tarfile.TarError as error:
            raise UserError(f"{str(file)!r} must be a whole, uncompressed tar: {error}") from error
    return found


def _indexed(folder: Path) -> dict[Path, list[Member]]:
    try:
        _, shards = read_index(folder)
        made = (folder / NAME).stat().st_mtime_ns
        newer = next((shard.shard for shard in shards if (folder / shard.shard).stat().st_mtime_ns > made), None)
        if newer is not None:  # built anew since, perhaps with other labels, or copied without times
            print(f"warning: {NAME!r} in {str(folder)!r} is older than {newer!r}: every header is read; touch it if it is "
                  "of these shards", file=sys.stderr)
            return {}
    except (OSError, UserError):  # such as one of whose shards some are elsewhere: the headers tell the same
        return {}
    found, rows = {}, dict.fromkeys((shard.part for shard in shards), 0)
    for shard in shards:
        columns = zip(shard.names, shard.offsets, shard.sizes, shard.labels, strict=True)
        found[folder / shard.shard] = [
            Member(member_name(row, os.fsencode(name)), offset, size, str(label))
            for row, (name, offset, size, label) in enumerate(columns, start=rows[shard.part])]
        rows[shard.part] += len(shard.names)
    return found


def _scanned(file: Path) -> list[Member]:
    images: dict[str, Member] = {}
    labels: dict[str, str] = {}
    others: dict[str, str] = {}  # of keys that have two, the other one
    with tarfile.open(file, "r:", errors="surrogateescape") as tar:
        for member in _entries(tar, file):
            if member.name.lower().endswith(_LABELS):
                label = _label(tar, member, f"member {member.name!r} of {str(file)!r}")
                key = _key(member.name)
                if label is not None and labels.setdefault(key, label) != label:
                    others.setdefault(key, label)
            elif member.name in images:
                raise UserError(f"{str(file)!r} must hold {member.name!r} once")
            else:
                images[member.name] = Member(member.name, member.offset_data, member.size, None)
    return list(_labelled(images, labels, others, file))


def _entries(tar: tarfile.TarFile, file: Path) -> Iterator[tarfile.TarInfo]:
    """Yield images and what may hold their classes; what is hidden or ignored likewise is none, wherever it lies."""
    while (member := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined]  # of millions, each with a kilobyte
        member.name = os.path.normpath(member.name).lstrip("/")
        if not member.name.lower().endswith(_ENDINGS + _LABELS) or member.isdir() or any(map(ignored, member.name.split("/"))):
            continue
        if not member.isreg() or member.issparse():
            raise UserError(f"member {member.name!r} of {str(file)!r} must be a file of its own, got a link or a file with holes")
        yield member
    # Where a header is damaged, tarfile ends without a word; a whole tar ends with a block of zeros.
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(BLOCK) != bytes(BLOCK):
        raise tarfile.ReadError(f"it is cut or damaged at byte {tar.offset}")


def _key(name: str) -> str:
    folder, file = os.path.split(name)
    return os.path.join(folder, file.partition(".")[0])


def _label(tar: tarfile.TarFile, member: tarfile.TarInfo, where: str) -> str | None:
    """Return the class that a file holds; None for JSON that holds none."""
    assert tar.fileobj is not None
    tar.fileobj.seek(member.offset_data)
    try:
        text = tar.fileobj.read(member.size).decode("utf-8-sig").strip()
        held = text if member.name.lower().endswith(_LABELS[0]) else json.loads(text)
    except (ValueError, RecursionError) as error:  # of JSON, brackets in brackets
        raise UserError(f"{where} must hold the class of an image as text, or JSON ({error})") from error
    label = held.get("label") if isinstance(held, dict) else held if isinstance(held, str) else None
    if label is None:
        return None
    label = label.strip() if isinstance(label, str) else label
    if type(label) is int or isinstance(label, str) and re.fullmatch(r"\d{1,18}", label):
        return str(int(label))  # 007 is 7
    if not isinstance(label, str) or not label:
        raise UserError(f"{where} must hold the number or the name of a class, got {str(label)[:80]!r}")
    return label


def _labelled(images: dict[str, Member], labels: dict[str, str], others: dict[str, str], file: Path) -> Iterator[Member]:
    """Join images and classes; of a key with a class ``key.jpg`` is the image, and ``key.mask.png`` is not."""
    taken: dict[str, str] = {}
    for name, image in images.items():
        key = _key(name)
        if key not in labels:
            yield image
        elif name[len(key):].lower() in _ENDINGS:
            if key in taken:
                raise UserError(f"key {key!r} of {str(file)!r} must have one image, got {taken[key]!r} and {name!r}")
            if key in others:
                raise UserError(f"key {key!r} of {str(file)!r} must have one class, got {labels[key]!r} and {others[key]!r}")
            taken[key] = name
            yield image._replace(label=labels[key])
    if alone := labels.keys() - taken.keys():
        key = min(alone)
        named = next((name for name in images if _key(name) == key), None)
        told = "no image" if named is None else f"{named!r}, whose name has a dot before its ending"
        print(f"warning: {len(alone):,} of the {len(labels):,} classes in {str(file)!r} are of no image that is read, the first "
              f"of key {key!r}: it has {told}", file=sys.stderr)
