"""``list:FILE``: images that a text file of "path label" lines names."""

from __future__ import annotations

import numpy as np

from ltbench.data.beside import file_beside, say_unread
from ltbench.data.lists import read_list
from ltbench.data.own import OwnImages, own_files, own_path, safe_name
from ltbench.errors import UserError

_MOST_CLASSES = 2**31 - 1


def open_list(typed: str) -> OwnImages:
    """Read a training list, and the lists beside it whose names say ``test`` or ``val`` where its own says ``train``.

    ``Train.txt`` has ``Test.txt`` or ``test.TXT`` beside it, ``train_list.csv`` has ``validation_list.csv``.

    Raises:
        UserError: If a list cannot be read, two lists could be the one for testing, or labels have gaps.
    """
    file = own_path(typed, "list:")
    train = read_list(file, _MOST_CLASSES)
    labels = np.unique(train[1].numpy())
    gaps = np.flatnonzero(labels != np.arange(len(labels)))  # found without an array of all labels: one may be a billion
    if len(gaps):
        raise UserError(f"{str(file)!r} must list an image of every label from 0 to {labels[-1]}, got none of {gaps[0]}")
    beside = [file_beside(file, part) for part in ("test", "val")]
    if beside[0] is None:
        say_unread(file, beside[1])
    test, val = (None if other is None else own_files(read_list(other, len(labels))) for other in beside)
    if test is None:
        test, val = val, None
    return OwnImages(f"list:{safe_name(file.stem)}", tuple(map(str, range(len(labels)))), own_files(train), test, val)
