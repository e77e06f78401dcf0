"""The image files below a folder of a class."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence

from ltbench.data.encoded import ENDINGS
from ltbench.errors import UserError

# What disks of Synology, QNAP and Windows and archives of a Mac keep beside what people put there: thumbnails, deleted files.
_NOBODYS = (b"@eaDir", b"#recycle", b"@Recycle", b"#snapshot", b"@Recently-Snapshot", b"$RECYCLE.BIN", b"lost+found",
            b"System Volume Information", b"__MACOSX")
_OTHERS = 100  # files of other names that are told of, at most


def ignored(name: str | bytes) -> bool:
    """Return whether a file or a folder is no part of a set: a hidden one, or a disk's own, such as what was deleted."""
    return os.fsencode(name).startswith(b".") or os.fsencode(name) in _NOBODYS


def is_folder(entry: os.DirEntry[bytes]) -> bool:
    """Return whether an entry is a folder, or a link to one.

    Raises:
        FileNotFoundError: If it is a link to nothing and its name is no file's: a class or a part may have been there.
    """
    if entry.is_dir():
        return True
    require_there(entry.path)
    return False


def require_there(path: str | bytes) -> None:
    """Refuse a broken link whose name has no ending, as a folder's: what it led to would be missed in silence.

    Raises:
        FileNotFoundError: If it is one.
    """
    if not os.path.splitext(path)[1] and os.path.islink(path) and not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, "it is a link to what is not there", path)


def images_below(folder: bytes, endings: Sequence[bytes] = ENDINGS, others: list[bytes] | None = None) -> list[bytes]:
    """Return the images of a folder and of the folders in it, however deep, by their names below it.

    The order is that of torchvision's ``ImageFolder``: folder by folder, each sorted, whatever the file system's own. What is
    :func:`ignored` is left out. A broken link to an image is listed, and found unreadable later; a pipe is no image, whatever its
    name.

    Args:
        others: Takes the paths of the first files that are no images by their names.

    Raises:
        UserError: If a link leads back to a folder that it lies in.
        OSError: If a folder cannot be read, or a link that may be one to a folder is broken.
    """
    found = sorted(_walk(folder, b"", endings, (), [] if others is None else others))
    return [os.path.join(inner, name) for inner, names in found for name in names]


def _walk(root: bytes, inner: bytes, endings: Sequence[bytes], above: tuple[tuple[int, int], ...], others: list[bytes]
          ) -> Iterator[tuple[bytes, list[bytes]]]:
    folder = os.path.join(root, inner)
    folders, names = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if ignored(entry.name):
                continue
            if is_folder(entry):
                folders.append(entry.name)
            elif entry.name.lower().endswith(tuple(endings)) and (entry.is_file() or entry.is_symlink()):
                names.append(entry.name)
            elif len(others) < _OTHERS:
                others.append(entry.path)
    yield inner, sorted(names)
    if not folders:
        return
    state = os.stat(folder)
    here = (state.st_dev, state.st_ino)
    if here in above:
        raise UserError(f"{os.fsdecode(folder)!r} must not be a link to a folder that it lies in")
    for name in folders:
        yield from _walk(root, os.path.join(inner, name), endings, (*above, here), others)
