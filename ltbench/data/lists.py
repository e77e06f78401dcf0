"""Lists of images: text files of "path label" lines, and the JSON of iNaturalist."""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltbench.data.paths import Paths
from ltbench.errors import UserError, brief

Listed = tuple[Paths, Tensor]

# A name may hold spaces, and in quotes anything; 18 digits fit int64.
_LINE = re.compile(rb"""\s*(?:"((?:[^"]|"")+)"|'([^']+)'|(.*[^\s,;]))(?:[ \t]*[,;][ \t]*|[ \t]+)["']?(\d{1,18})["']?\s*""")
_HEADER = re.compile(rb"""\s*"?[a-z_ ]+"?[ \t,;]+"?(?:label|class|category|target)[a-z_ ]*"?\s*""", re.IGNORECASE)
_SHOWN = 80  # bytes of a line that is wrong


def read_list(file: Path, num_classes: int) -> Listed:
    """Read a list by what its name ends with.

    Args:
        file: ``.json`` for iNaturalist's form, else lines of "path label" or "path,label".

    Returns:
        Paths relative to the list's own folder, and labels, int64, shape (N,).

    Raises:
        UserError: If it cannot be read, naming the file and the line, or gives one image two labels, naming the image.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be read: {error.strerror}") from error
    names, labels = (_json if file.suffix == ".json" else _lines)(file, content, num_classes)
    if not names:
        raise UserError(f"{str(file)!r} lists no image")
    for name in names:
        if b"\0" in name:
            raise UserError(f"{str(file)!r} must list paths without null characters, got {os.fsdecode(name)!r}")
    names = with_slashes(file.parent, names)
    require_one_label(file, names, labels)
    return Paths(file.parent, names), torch.from_numpy(np.asarray(labels, dtype=np.int64))


def entries(file: Path, content: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield the entries of a list of lines: the line's number, path and label.

    A byte-order mark, empty lines and a first line that names the columns are no entries.

    Raises:
        UserError: If a line is none, naming it.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{str(file)!r} must be UTF-8 text or plain bytes, got UTF-16")
    lines = ((number, line) for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).splitlines(), start=1)
             if line.strip())
    for place, (number, line) in enumerate(lines):
        entry = _LINE.fullmatch(line)
        if entry is not None:
            quoted, single, plain, label = entry.groups()
            yield number, (single or plain) if quoted is None else quoted.replace(b'""', b'"'), int(label)
        elif place or _HEADER.fullmatch(line) is None:
            raise UserError(f"line {number} of {str(file)!r} must read 'path label', got {os.fsdecode(line[:_SHOWN])!r}")


def with_slashes(folder: Path, names: list[bytes]) -> list[bytes]:
    """Return names that Windows wrote as they are called here; a name may hold a backslash where such a file is there."""
    written = next((name for name in names if b"\\" in name), None)
    if written is None or os.path.lexists(os.path.join(os.fsencode(folder), written)):
        return names
    return [name.replace(b"\\", b"/") for name in names]


def require_one_label(file: Path, names: Sequence[bytes], labels: Sequence[int | str]) -> None:
    """Refuse two labels for one image, naming both."""
    known: dict[bytes, int | str] = {}
    for name, label in zip(names, labels, strict=True):
        if known.setdefault(name, label) != label:
            raise UserError(f"image {os.fsdecode(name)!r} of {str(file)!r} must have one label, got {known[name]} and {label}")


def check_label(label: int, num_classes: int, where: str) -> int:
    """Return a label that is in range."""
    if not 0 <= label < num_classes:
        raise UserError(f"{where} must have a label from 0 to {num_classes - 1}, got {label}")
    return label


def _lines(file: Path, content: bytes, num_classes: int) -> tuple[list[bytes], list[int]]:
    names, labels = [], []
    for number, name, label in entries(file, content):
        names.append(name)
        labels.append(check_label(label, num_classes, f"line {number} of {str(file)!r}"))
    return names, labels


def _whole(value: Any) -> int:
    if int(value) != value and not isinstance(value, str):
        raise ValueError(f"category_id must be a whole number, got {value!r}")
    return int(value)


def _path(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"file_name must be text, got {value!r:.80}")
    return value


def _json(file: Path, content: bytes, num_classes: int) -> tuple[list[bytes], list[int]]:
    try:
        held: dict[str, Any] = json.loads(content)
        categories = [(entry["image_id"], _whole(entry["category_id"])) for entry in held["annotations"]]
        category = dict(categories)
        others = {image: label for image, label in categories if category[image] != label}
        images = [(_path(entry["file_name"]), category[entry["id"]], others.get(entry["id"])) for entry in held["images"]]
        names = [name.encode(errors="surrogateescape") for name, _, _ in images]  # in UTF-8, whatever the locale's own encoding
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:  # infinite numbers, brackets in brackets
        raise UserError(f"{str(file)!r} must hold images and annotations in iNaturalist's form ({brief(error)})") from error
    for name, label, other in images:
        if other is not None:
            raise UserError(f"image {name!r} of {str(file)!r} must have one label, got {other} and {label}")
    return names, [check_label(label, num_classes, f"image {name!r} of {str(file)!r}") for name, label, _ in images]
