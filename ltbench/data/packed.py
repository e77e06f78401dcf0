"""Sets that were packed into tar shards: for disks and network folders where a million small files are slow."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from ltbench.data.base import Dataset
from ltbench.data.pack_index import read_index
from ltbench.data.paths import Paths
from ltbench.data.tar_images import Shards, TarImages
from ltbench.errors import UserError

ENDING = ".tars"
_OLD = ".ltpack"


def find_pack(name: str, root: Path, folders: Iterable[Path]) -> Path | None:
    """Return the pack that stands for a set, or None.

    Args:
        root: That the user named: a pack itself, or a folder that may hold ``<name>.tars``.
        folders: The set's own, which may hold it too.
    """
    if root.suffix == ENDING:
        return root
    old = root if root.suffix == _OLD and not root.is_dir() else None
    for folder in (root, *folders):
        if (folder / f"{name}{ENDING}").is_dir():
            return folder / f"{name}{ENDING}"
        if old is None and (folder / f"{name}{_OLD}").is_file():
            old = folder / f"{name}{_OLD}"
    if old is not None:
        raise UserError(f"{str(old)!r} is a pack of an older ltbench, which is no longer read: pack the set again with "
                        f"'ltbench data pack', and remove it")
    return None


def read_pack(folder: Path, dataset: Dataset, resized: int) -> dict[str, TarImages]:
    """Open the parts of a packed set, ``train`` and ``test`` at least; names, labels and order are those of the packed files.

    Raises:
        UserError: If it cannot be read, is damaged, or holds another set, naming it.
    """
    name, shards = read_index(folder)
    if name != dataset.name:
        raise UserError(f"pack {str(folder)!r} must hold {dataset.name!r}, got {name!r}")
    parts = {}
    for part in dict.fromkeys(shard.part for shard in shards):
        held = [shard for shard in shards if shard.part == part]
        names = Paths(folder, map(os.fsencode, chain.from_iterable(shard.names for shard in held)))
        labels = torch.tensor(list(chain.from_iterable(shard.labels for shard in held)), dtype=torch.int64)
        places = np.concatenate([np.stack([np.full(len(shard.sizes), number), shard.offsets, shard.sizes], axis=1)
                                 for number, shard in enumerate(held)]).astype(np.int64)
        files = Shards([folder / shard.shard for shard in held])
        parts[part] = TarImages(names, labels, dataset.image_size, resized, files, places)
    if not {"train", "test"} <= set(parts):
        raise UserError(f"pack {str(folder)!r} must have the parts train and test, got {', '.join(parts) or 'none'}")
    return parts
