"""Images in one packed file: for disks and network folders where a million small files are slow."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ltbench.data.arrays import Bytes, Ints
from ltbench.data.base import Dataset
from ltbench.data.encoded import EncodedImages
from ltbench.data.pack_format import ENDING, MappedFile, read_index
from ltbench.data.paths import Paths
from ltbench.errors import UserError


@dataclass(frozen=True, eq=False)
class PackedImages(EncodedImages):
    """Read images from a pack; names, labels, order and bytes are those of the files that it was made of.

    Args:
        file: The pack.
        bounds: Where each image begins and ends in it, int64, shape (N, 2).
    """

    file: MappedFile
    bounds: Ints

    def take(self, indices: Tensor) -> Self:
        """Return some of the images."""
        return replace(self, paths=self.paths.take(indices.tolist()), labels=self.labels[indices],
                       bounds=self.bounds[indices.numpy()])

    def state(self) -> bytes:
        """Return the pack's size and time of change, and where in it the images lie."""
        state = os.stat(self.file.path)
        whole = np.array([[state.st_size, state.st_mtime_ns]])
        return np.ascontiguousarray(np.concatenate([whole, self.bounds]), dtype="<i8").tobytes()

    def stored_bytes(self, index: int) -> int:
        """Return an image's length in the pack."""
        start, end = self.bounds[index].tolist()
        return int(end - start)

    def read(self, index: int) -> Bytes:
        """Return an image's bytes."""
        start, end = self.bounds[index].tolist()
        return self.file[start:end]


def find_pack(name: str, root: Path, folders: Iterable[Path]) -> Path | None:
    """Return the pack that stands for a set, or None.

    Args:
        name: Of the set.
        root: That the user named: a pack itself, or a folder that may hold ``<name>.ltpack``.
        folders: The set's own, which may hold it too.
    """
    if root.suffix == ENDING and not root.is_dir():
        return root
    return next((folder / f"{name}{ENDING}" for folder in (root, *folders) if (folder / f"{name}{ENDING}").is_file()), None)


def read_pack(file: Path, dataset: Dataset, resized: int) -> dict[str, PackedImages]:
    """Open the parts of a packed set, ``train`` and ``test`` at least; no image is read.

    Args:
        file: The pack.
        dataset: That it must hold.
        resized: What the shorter side of an image is scaled to where no window of it is taken.

    Raises:
        UserError: If it cannot be read, is damaged, or holds another set, naming it.
    """
    name, packed = read_index(file)
    if name != dataset.name:
        raise UserError(f"pack {str(file)!r} must hold {dataset.name!r}, got {name!r}")
    mapped = MappedFile(file)
    parts = {part.name: PackedImages(Paths.joined(file, part.ends, part.text), torch.from_numpy(part.labels), dataset.image_size,
                                     resized, mapped, np.stack([part.offsets[:-1], part.offsets[1:]], axis=1)) for part in packed}
    if not {"train", "test"} <= set(parts):
        raise UserError(f"pack {str(file)!r} must have the parts train and test, got {', '.join(parts) or 'none'}")
    return parts
