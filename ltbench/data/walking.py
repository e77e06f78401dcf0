"""The image files below a folder of a class."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from ltbench.data.encoded import ENDINGS
from ltbench.errors import UserError


def ignored(name: str | bytes) -> bool:
    """Return whether a file or a folder is no part of a set: a hidden one, or a Synology's folder of thumbnails."""
    return os.fsencode(name).startswith(b".") or os.fsencode(name) == b"@eaDir"


def images_below(folder: bytes, endings: Sequence[bytes] = ENDINGS) -> list[bytes]:
    """Return the images of a folder and of the folders in it, however deep, by their names below it.

    The order is that of torchvision's ``ImageFolder``: folder by folder, each sorted, whatever the file system's own. What is
    :func:`ignored` is left out. A broken link is listed, and found unreadable later; a pipe is no image, whatever its name.

    Raises:
        UserError: If a link leads back to a folder that it lies in.
        OSError: If a folder cannot be read.
    """
    found = sorted(_walk(folder, b"", endings, ()))
    return [os.path.join(inner, name) for inner, names in found for name in names]


def _walk(root: bytes, inner: bytes, endings: Sequence[bytes], above: tuple[tuple[int, int], ...]
          ) -> Iterator[tuple[bytes, list[bytes]]]:
    folder = os.path.join(root, inner)
    folders, names = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if ignored(entry.name):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif entry.name.lower().endswith(tuple(endings)) and (entry.is_file() or entry.is_symlink()):
                names.append(entry.name)
    yield inner, sorted(names)
    if not folders:
        return
    state = os.stat(folder)
    here = (state.st_dev, state.st_ino)
    if here in above:
        raise UserError(f"{os.fsdecode(folder)!r} must not be a link to a folder that it lies in")
    for name in folders:
        yield from _walk(root, os.path.join(inner, name), endings, (*above, here))
