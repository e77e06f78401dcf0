"""Label-shifted test sets that were published as lists: which images of the test part stand in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from ltbench.data.arrays import Ints
from ltbench.data.lists import Listed, entries, read_list
from ltbench.errors import UserError
from ltbench.terms.shift import shifts_of

# Beside the other lists, or in a folder of their own there.
_FOLDERS = ("", "sade_test_agnostic")


def read_shifts(
    pattern: str, ratios: Iterable[int], candidates: Sequence[Path], test: Listed, num_classes: int
) -> dict[str, Ints]:
    """Read the lists that are there.

    Args:
        pattern: Of the files' names, with ``{shift}`` for a shift's name.
        candidates: Folders that may hold them, the most likely first.

    Returns:
        By the shift's name, positions in the test part, rising.

    Raises:
        UserError: If a list cannot be read, or holds an image that the test part has not or has with another label, or an image
            twice: naming the file and the line.
    """
    files: dict[str, Path] = {}
    for name in map(str, shifts_of(ratios)):
        places = (folder / inner / pattern.format(shift=name) for folder in candidates for inner in _FOLDERS)
        file = next((place for place in places if place.is_file()), None)
        if file is not None:
            files[name] = file
    if not files:
        return {}
    paths, labels = test
    known = {image: position for position, image in enumerate(zip(paths.names(), labels.tolist(), strict=True))}
    return {name: _positions(file, known, num_classes) for name, file in files.items()}


def _positions(file: Path, known: dict[tuple[bytes, int], int], num_classes: int) -> Ints:
    paths, labels = read_list(file, num_classes)
    found: set[int] = set()
    for entry, image in enumerate(zip(paths.names(), labels.tolist(), strict=True)):
        position = known.get(image)
        if position is None or position in found:
            wanted = "name an image of the test list with the same label" if position is None else "name an image once"
            shown = f"{os.fsdecode(image[0])} {image[1]}".encode("utf-8", "replace").decode()
            raise UserError(f"line {_line(file, entry)} of {str(file)!r} must {wanted}, got {shown[:80]!r}")
        found.add(position)
    return np.array(sorted(found), dtype=np.int64)


def _line(file: Path, entry: int) -> int:
    """Return the number of an entry's line."""
    return next(islice(entries(file, file.read_bytes()), entry, None))[0]
