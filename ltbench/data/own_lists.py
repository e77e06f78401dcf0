"""``list:FILE``: images that a text file of "path label" lines names."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from ltbench.data.files import FileImages
from ltbench.data.lists import read_list
from ltbench.data.own import ROLES, OwnImages, own_files, own_path, safe_name
from ltbench.errors import UserError

_MOST_CLASSES = 2**31 - 1
_TRAIN = re.compile("train(?:ing)?|trn", re.IGNORECASE)
_WORDS = {part: tuple(word for word, role in ROLES.items() if role == part) for part in ("test", "val")}
_JUDGE = re.compile(rf"(?<![a-z])(?:{'|'.join(_WORDS['test'] + _WORDS['val'])})(?![a-z])", re.IGNORECASE)
_SUFFIXES = (".txt", ".csv", ".tsv", ".json", ".lst", ".list")


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
    test, val = (_beside(file, part, len(labels)) for part in ("test", "val"))
    if test is None:
        test, val = val, None
    if test is None:
        _say_unread(file)
    return OwnImages(f"list:{safe_name(file.stem)}", tuple(map(str, range(len(labels)))), own_files(train), test, val)


def _say_unread(file: Path) -> None:
    """Warn that a list which looks like one to test on is not read, because its name differs elsewhere too."""
    for other in sorted(file.parent.iterdir()):
        if other != file and other.suffix.lower() in _SUFFIXES and _JUDGE.search(other.stem) and not other.name.startswith("."):
            print(f"warning: {other.name!r} beside {file.name!r} is not read, for their names differ in more than a word: a "
                  "fifth of each class is set apart", file=sys.stderr)
            return


def _beside(file: Path, part: str, num_classes: int) -> FileImages | None:
    said = list(_TRAIN.finditer(file.name))
    # The last of several words alone, or all: training_set_train.txt has training_set_test.txt beside it.
    wanted = {(file.name[:said[-1].start()] + word + file.name[said[-1].end():]).lower() for word in _WORDS[part] if said}
    wanted |= {_TRAIN.sub(word, file.name).lower() for word in _WORDS[part] if said}
    found = [other for other in sorted(file.parent.iterdir()) if other.name.lower() in wanted and other.is_file()] if said else []
    if len(found) > 1:
        raise UserError(f"{str(file)!r} must have one list of the {part} part beside it, got "
                        f"{' and '.join(repr(other.name) for other in found)}")
    return own_files(read_list(found[0], num_classes)) if found else None
