"""Images in one packed file: for disks and network folders where a million small files are slow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from ltbench.data.arrays import Bytes, Ints
from ltbench.data.base import Dataset, Parts
from ltbench.data.encoded import EncodedImages
from ltbench.data.pack_format import ENDING, MappedFile, read_index
from ltbench.data.paths import Paths
from ltbench.errors import UserError


@dataclass(frozen=True, eq=False)
class PackedImages(EncodedImages):
    """Read images from a pack; names, labels, order and bytes are those of the files that it was made of.

    Args:
        file: The pack.
        offsets: Where each image begins in it, and where the last one ends, int64, shape (N + 1,).
    """

    file: MappedFile
    offsets: Ints

    def stored_bytes(self, index: int) -> int:
        """Return an image's length in the pack."""
        return int(self.offsets[index + 1] - self.offsets[index])

    def read(self, index: int) -> Bytes:
        """Return an image's bytes."""
        return self.file[int(self.offsets[index]):int(self.offsets[index + 1])]


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


def read_pack(file: Path, dataset: Dataset, resized: int) -> Parts:
    """Open the parts of a packed set; no image is read.

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
                                     resized, mapped, part.offsets) for part in packed}
    if not {"train", "test"} <= set(parts):
        raise UserError(f"pack {str(file)!r} must have the parts train and test, got {', '.join(parts) or 'none'}")
    return Parts(parts["train"], parts["test"], parts.get("val"))
