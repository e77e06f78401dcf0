"""``folder:PATH``: images in a folder for each class, with or without folders for training, validation and testing above them."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from ltbench.data.encoded import USUAL
from ltbench.data.files import FileImages
from ltbench.data.own import ROLES, OwnImages, own_files, own_path, safe_name
from ltbench.data.paths import Paths
from ltbench.data.walking import ignored, images_below
from ltbench.errors import UserError


def open_folder(typed: str) -> OwnImages:
    """List the images of class folders.

    Args:
        typed: The path of the folder that holds the class folders, or parts with class folders.
    """
    root = own_path(typed, "folder:")
    if not root.is_dir():
        raise UserError(f"folder: must be followed by the path of a folder, got {typed!r}")
    try:
        return _open(root)
    except OSError as error:  # such as a folder that may not be entered
        raise UserError(f"{os.fsdecode(error.filename or root)!r} cannot be read: {error.strerror}") from error


def _open(root: Path) -> OwnImages:
    parts = _parts(root)
    names = _folders(parts.get("train", root))
    train = _scan(parts.get("train", root), names)
    held_out = {role: _scan(parts[role], names) for role in ("test", "val") if role in parts}
    test = held_out.pop("test", None) or held_out.pop("val", None)
    return OwnImages(f"folder:{safe_name(root.name)}", tuple(map(os.fsdecode, names)), train, test, held_out.get("val"))


def _parts(root: Path) -> dict[str, Path]:
    """Return the folders of the parts by their roles: none where class folders lie in the root itself."""
    folders = [root / os.fsdecode(name) for name in _folders(root)]
    found = [(ROLES[folder.name.lower()], folder) for folder in folders if folder.name.lower() in ROLES]
    parts = dict(found)
    if "train" not in parts or not _folders(parts["train"]):
        return {}  # a class may be called "test", or "train"
    if len(parts) < len(found):
        names = ", ".join(repr(folder.name) for _, folder in found)
        raise UserError(f"{str(root)!r} must have one folder for each of training, validation and testing, got {names}")
    return parts


def _folders(folder: Path) -> list[bytes]:
    with os.scandir(os.fsencode(folder)) as entries:
        return sorted(entry.name for entry in entries if not ignored(entry.name) and entry.is_dir())


def _scan(folder: Path, classes: list[bytes]) -> FileImages:
    """List the images of a part.

    Args:
        classes: Their names, in the order of the labels.
    """
    found: list[bytes] = []
    labels: list[int] = []
    numbers = {name: k for k, name in enumerate(classes)}
    for name in _folders(folder):
        inside = folder / os.fsdecode(name)
        if name not in numbers:
            raise UserError(f"{str(folder)!r} must hold no class that the training part lacks, got {inside.name!r}")
        images = images_below(os.fsencode(inside))
        if not images:
            raise UserError(f"class folder {str(inside)!r} must hold {USUAL}, got none")
        found += (os.path.join(name, image) for image in images)
        labels += [numbers[name]] * len(images)
    return own_files((Paths(folder, found), torch.tensor(labels, dtype=torch.int64)))
