"""``folder:PATH``: images in a folder for each class, with or without folders for training, validation and testing above them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import torch

from ltbench.data.beside import say_not_read
from ltbench.data.encoded import ENDINGS, USUAL
from ltbench.data.files import FileImages
from ltbench.data.labels import say_alike
from ltbench.data.own import OwnImages, own_files, own_path, safe_name
from ltbench.data.part_folders import folders_within, part_folders, refuse_parts, role_in, role_of
from ltbench.data.paths import Paths
from ltbench.data.unread import is_archive, say_pictures
from ltbench.data.walking import ignored, images_below, is_folder
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
    roles = part_folders(str(root), {name: _folders(root / name) if role_of(name) else () for name in _folders(root)})
    parts = {role: root / name for name, role in roles.items()}
    names = _folders(parts.get("train", root))
    if "train" in parts and "test" not in parts:
        _say_unread(root, parts, names)
    name = f"folder:{safe_name(root.name)}"
    say_alike(name, names)
    others: list[bytes] = []
    train = _scan(parts.get("train", root), names, others)
    _say_archive(root, parts, names)
    if not parts:
        _say_other_parts(root, names)
        refuse_parts(str(root), folders_within(map(os.fsdecode, train.paths.names())))
    held_out = {role: _scan(parts[role], names, others) for role in ("test", "val") if role in parts}
    test = held_out.pop("test", None) or held_out.pop("val", None)
    say_pictures(name, others)
    return OwnImages(name, tuple(names), train, test, held_out.get("val"))


def _say_unread(root: Path, parts: dict[str, Path], classes: list[str]) -> None:
    """Warn of a folder that looks like one to test on, but is not called so."""
    for name in _folders(root):
        if root / name in parts.values():
            continue
        with suppress(OSError):  # what may not be entered is no part
            if set(classes) & {name, *_folders(root / name)}:
                say_not_read(name, parts["train"].name, "its name is that of no part, such as 'test'", parts)
                return


def _say_other_parts(root: Path, classes: list[str]) -> None:
    """Warn of a part beside the folder that is read, where that is the training part: who names what holds both has both."""
    if role_of(root.name) != "train":
        return
    with suppress(OSError):  # what may not be entered is no part
        for name in sorted(_folders(root.parent), key=lambda name: role_of(name) != "test"):
            if role_of(name) in ("test", "val") and set(classes) & set(_folders(root.parent / name)):
                say_not_read(name, root.name, "it is another folder", ())
                return


def _say_archive(root: Path, parts: dict[str, Path], classes: list[str]) -> None:
    """Warn of an archive that nobody has unpacked and that may hold a part which is not there, or a class."""
    known = (*classes, root.name)
    for folder in (root, *parts.values()):
        for file in sorted(folder.iterdir()):
            if ignored(file.name) or os.fsencode(file.suffix.lower()) in ENDINGS:
                continue
            name = file.name.partition(".")[0]
            role = role_in(name)
            missed = role in ("test", "val") and role not in parts if parts and folder == root else name not in known
            if missed and is_archive(os.fsencode(file)):
                say_not_read(file.name, parts.get("train", root).name, "it is an archive", parts)
                return


def _folders(folder: Path) -> list[str]:
    with os.scandir(os.fsencode(folder)) as entries:
        found = sorted(entry.name for entry in entries if not ignored(entry.name) and is_folder(entry))
    return list(map(os.fsdecode, found))  # in the order of their bytes


def _scan(folder: Path, classes: list[str], others: list[bytes]) -> FileImages:
    """List the images of a part.

    Args:
        classes: Their names, in the order of the labels.
        others: Takes paths of files that are no images by their names.
    """
    found: list[bytes] = []
    labels: list[int] = []
    numbers = {name: k for k, name in enumerate(classes)}
    for name in _folders(folder):
        inside = folder / name
        if name not in numbers:
            raise UserError(f"{str(folder)!r} must hold no class that the training part lacks, got {inside.name!r}")
        images = images_below(os.fsencode(inside), others=others)
        if not images:
            raise UserError(f"class folder {str(inside)!r} must hold {USUAL}, got none")
        found += (os.path.join(os.fsencode(name), image) for image in images)
        labels += [numbers[name]] * len(images)
    return own_files((Paths(folder, found), torch.tensor(labels, dtype=torch.int64)))
