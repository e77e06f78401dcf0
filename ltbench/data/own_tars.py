"""``tar:PATTERN``: images in tar files, with classes beside them as WebDataset has it, or in folders of classes."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ltbench.data.encoded import USUAL
from ltbench.data.labels import class_numbers
from ltbench.data.listed import LARGE, LARGE_RESIZED
from ltbench.data.own import ROLES, OwnImages, own_path, safe_name
from ltbench.data.paths import Paths
from ltbench.data.tar_images import Shards, TarImages
from ltbench.data.tar_members import Member, read_members
from ltbench.errors import UserError

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")
_ROLE = re.compile(rf"(?<![a-z])(?:{'|'.join(ROLES)})(?![a-z])")


class _Image(NamedTuple):
    """Say where an image lies: in which file and part, and which class it has."""

    shard: int
    member: Member
    part: str | None
    label: str


def open_tar(typed: str) -> OwnImages:
    """Find the images of tar files; every header is read, where no index says what is there, and no image.

    Args:
        typed: The path of a tar file or of a folder that holds some, or a pattern: ``train-{000..012}.tar``, ``*/*.tar``.

    Raises:
        UserError: If there is no such file, one cannot be read, or a class cannot be trained or tested on.
    """
    pattern = own_path(typed, "tar:")
    name = f"tar:{safe_name(_name(pattern))}"
    files = _files(pattern, typed)
    members = read_members(files)
    labelled = any(member.label is not None for held in members.values() for member in held)
    images = [image for shard, file in enumerate(files) for image in _images(shard, file, members[file], labelled)]
    if not images:
        raise UserError(f"{name} must hold {USUAL}, got none")
    parts = _parts(images, files)
    classes = class_numbers(name, {image.label for image in parts["train"]}, numbered=labelled)
    train, test, val = (_source(files, parts[part], classes) if part in parts else None for part in ("train", "test", "val"))
    assert train is not None
    if test is None:
        test, val = val, None
    return OwnImages(name, tuple(classes), train, test, val)


def _name(pattern: Path) -> str:
    """Return the last part of a path that says what the images are: no wildcard, and no name of a part."""
    for part in (pattern.stem if pattern.suffix == ".tar" else pattern.name, *(folder.name for folder in pattern.parents)):
        if not re.search(r"[*?\[{]", part) and part.lower() not in ROLES:
            return part
    return ""


def _files(pattern: Path, typed: str) -> list[Path]:
    if os.path.isdir(pattern):
        inside = os.path.join(glob.escape(str(pattern)), "")
        found = {Path(file) for folder in ("*.tar", "*/*.tar") for file in glob.glob(inside + folder)}  # no hidden ones
    elif os.path.exists(pattern):
        found = {pattern}
    else:
        found = set()
        for name in _expanded(str(pattern)):
            matched = glob.glob(name) if glob.has_magic(name) else [name] if os.path.exists(name) else []
            if not matched:
                raise UserError(f"tar: must be followed by the path of tar files, got {typed!r}: no {name!r}")
            found |= set(map(Path, matched))
    if not found:
        raise UserError(f"tar: must be followed by the path of tar files, got {typed!r}: no *.tar there")
    return sorted(found)


def _expanded(text: str) -> Iterator[str]:
    """Yield what braces stand for, as in a shell: ``{a,b}`` is one or the other, ``{000..012}`` one of 13 numbers."""
    braces = _BRACES.search(text)
    if braces is None:
        yield text
        return
    numbers = _RANGE.fullmatch(braces[1])
    choices = braces[1].split(",") if numbers is None else (
        f"{number:0{len(numbers[1])}d}" for number in range(int(numbers[1]), int(numbers[2]) + 1))
    for choice in choices:
        yield from _expanded(text[:braces.start()] + choice + text[braces.end():])


def _images(shard: int, file: Path, members: list[Member], labelled: bool) -> Iterator[_Image]:
    """Yield the images of a file with class and part: a folder in the tar tells the part, else the file's name, else its folder.

    Args:
        labelled: Whether classes stand beside the images; else an image lies in a folder of its class.
    """
    named = _ROLE.findall(file.stem.lower())
    outer = named[0] if named else file.parent.name.lower()
    for member in members:
        *folders, _ = member.name.split("/")
        label = member.label if labelled else folders.pop() if folders else None
        if label is None:
            raise UserError(f"image {member.name!r} of {str(file)!r} must have its class beside it, in a .cls or as 'label' in a "
                            ".json" + ("" if labelled else ", or lie in a folder of its class"))
        yield _Image(shard, member, ROLES.get(folders[-1].lower() if folders else "", ROLES.get(outer)), label)


def _parts(images: list[_Image], files: list[Path]) -> dict[str, list[_Image]]:
    if all(image.part != "train" for image in images):  # a class may be called "test", and so may a file
        return {"train": images}
    parts: dict[str, list[_Image]] = {}
    for image in images:
        if image.part is None:
            raise UserError("where the name of a shard or a folder says 'train', all must say train, test or val, got "
                            f"{image.member.name!r} of {str(files[image.shard])!r}")
        parts.setdefault(image.part, []).append(image)
    return parts


def _source(files: list[Path], images: list[_Image], classes: dict[str, int]) -> TarImages:
    folder = Path(os.path.commonpath([file.parent for file in files]))
    labels = []
    for image in images:
        if image.label not in classes:
            raise UserError(f"{str(files[image.shard])!r} must hold no class that the training part lacks, got {image.label!r}")
        labels.append(classes[image.label])
    shown = [os.path.relpath(file, folder) for file in files]
    names = (os.fsencode(f"{shown[image.shard]}/{image.member.name}") for image in images)
    places = np.array([(image.shard, image.member.offset, image.member.size) for image in images], dtype=np.int64)
    return TarImages(Paths(folder, names), torch.tensor(labels, dtype=torch.int64), LARGE, LARGE_RESIZED, Shards(files), places)
