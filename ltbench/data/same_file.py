"""Which names lead to one file: through links to folders, ``..`` and doubled slashes too."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch

from ltbench.data.encoded import EncodedImages
from ltbench.data.files import FileImages
from ltbench.data.paths import Paths
from ltbench.errors import UserError

Folder: TypeAlias = tuple[int, int] | bytes  # device and number, or a name


def folders_of(paths: Paths) -> dict[bytes, Folder]:
    """Return what tells the folders of files apart, by their names."""
    found: dict[bytes, Folder] = {}
    for name in paths.names():
        inner = name.rpartition(b"/")[0]
        if inner not in found:
            folder = os.path.join(os.fsencode(paths.folder), inner)
            try:
                state = os.stat(folder)
                found[inner] = state.st_dev, state.st_ino
            except OSError:  # in a tar, or not there
                found[inner] = os.path.normpath(folder)
    return found


def keys_of(paths: Paths, folders: Mapping[bytes, Folder]) -> Iterator[tuple[Folder, bytes]]:
    """Yield what tells files apart: which folder they lie in, and their names there."""
    for name in paths.names():
        inner, _, file = name.rpartition(b"/")
        yield folders[inner], file


def each_once(name: str, images: EncodedImages, class_names: Sequence[str]) -> EncodedImages:
    """Return the images of one part without those that were named before, which is said on stderr.

    Args:
        name: Of the set.
        images: Returned as they are where they are no files.

    Raises:
        UserError: If an image has two labels, naming it and both.
    """
    if not isinstance(images, FileImages):
        return images
    first: dict[tuple[Folder, bytes], int] = {}
    repeats = []
    labels = images.labels.tolist()
    for index, key in enumerate(keys_of(images.paths, folders_of(images.paths))):
        known = first.setdefault(key, index)
        if known == index:
            continue
        if labels[known] != labels[index]:
            one, other = (class_names[labels[place]] for place in (known, index))
            raise UserError(f"image {images.paths[known]!r} of {name} must have one label, got {one!r} and, as "
                            f"{images.paths[index]!r}, {other!r}")
        repeats.append(index)
    if not repeats:
        return images
    print(f"warning: {name} names images again, {len(repeats):,} in all, the first {images.paths[repeats[0]]!r}: each counts "
          "once", file=sys.stderr)
    return images.take(torch.from_numpy(np.delete(np.arange(len(labels)), repeats)))
