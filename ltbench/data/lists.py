"""Lists of images: text files of "path label" lines, and the JSON of iNaturalist."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltbench.data.paths import Paths
from ltbench.errors import UserError

Listed = tuple[Paths, Tensor]

_LINE = re.compile(rb"(.*\S)[ \t]+(\d{1,18})\s*")  # a name may hold spaces; 18 digits fit int64
_SHOWN = 80  # bytes of a line that is wrong


def read_list(file: Path, num_classes: int) -> Listed:
    """Read a list by what its name ends with.

    Args:
        file: ``.json`` for iNaturalist's form, else lines of "path label".

    Returns:
        Paths relative to the list's own folder, and labels, int64, shape (N,).

    Raises:
        UserError: If it cannot be read, naming the file and the line.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be read: {error.strerror}") from error
    names, labels = (_json if file.suffix == ".json" else _lines)(file, content, num_classes)
    if not names:
        raise UserError(f"{str(file)!r} lists no image")
    return Paths(file.parent, names), torch.from_numpy(np.asarray(labels, dtype=np.int64))


def check_label(label: int, num_classes: int, where: str) -> int:
    """Return a label that is in range."""
    if not 0 <= label < num_classes:
        raise UserError(f"{where} must have a label from 0 to {num_classes - 1}, got {label}")
    return label


def _lines(file: Path, content: bytes, num_classes: int) -> tuple[list[bytes], list[int]]:
    names, labels = [], []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        entry = _LINE.fullmatch(line)
        where = f"line {number} of {str(file)!r}"
        if entry is None:
            raise UserError(f"{where} must read 'path label', got {os.fsdecode(line[:_SHOWN])!r}")
        names.append(entry[1])
        labels.append(check_label(int(entry[2]), num_classes, where))
    return names, labels


def _json(file: Path, content: bytes, num_classes: int) -> tuple[list[bytes], list[int]]:
    try:
        held: dict[str, Any] = json.loads(content)
        category = {entry["image_id"]: int(entry["category_id"]) for entry in held["annotations"]}
        images = [(str(entry["file_name"]), category[entry["id"]]) for entry in held["images"]]
        names = [os.fsencode(name) for name, _ in images]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{str(file)!r} must hold images and annotations in iNaturalist's form ({type(error).__name__}: {error})"
                        ) from error
    labels = [check_label(label, num_classes, f"image {name!r} of {str(file)!r}") for name, label in images]
    return names, labels
