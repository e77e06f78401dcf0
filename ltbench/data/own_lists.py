"""``list:FILE``: images that a text file of "path label" lines names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ltbench.data.files import FileImages
from ltbench.data.lists import read_list
from ltbench.data.own import OwnImages, own_files, own_path, safe_name
from ltbench.errors import UserError

_MOST_CLASSES = 2**31 - 1
_TRAIN = "train"


def open_list(typed: str) -> OwnImages:
    """Read a training list, and the lists beside it whose names say ``test`` or ``val`` where its own says ``train``."""
    file = own_path(typed, "list:")
    train = read_list(file, _MOST_CLASSES)
    labels = np.unique(train[1].numpy())
    gaps = np.flatnonzero(labels != np.arange(len(labels)))  # found without an array of all labels: one may be a billion
    if len(gaps):
        raise UserError(f"{str(file)!r} must list an image of every label from 0 to {labels[-1]}, got none of {gaps[0]}")
    test, val = (_beside(file, part, len(labels)) for part in ("test", "val"))
    if test is None:
        test, val = val, None
    return OwnImages(f"list:{safe_name(file.stem)}", tuple(map(str, range(len(labels)))), own_files(train), test, val)


def _beside(file: Path, part: str, num_classes: int) -> FileImages | None:
    if not file.stem.endswith(_TRAIN):
        return None
    other = file.with_name(file.stem.removesuffix(_TRAIN) + part + file.suffix)
    return own_files(read_list(other, num_classes)) if other.is_file() else None
