"""``tar:PATTERN``: images in tar files, with classes beside them as WebDataset has it, or in folders of classes."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ltbench.data.beside import say_not_read
from ltbench.data.encoded import USUAL
from ltbench.data.labels import class_numbers, same_numbers
from ltbench.data.listed import LARGE, LARGE_RESIZED
from ltbench.data.own import OwnImages, own_path, safe_name
from ltbench.data.part_folders import folders_within, part_folders, refuse_parts, role_in, role_of
from ltbench.data.paths import Paths
from ltbench.data.tar_images import Shards, TarImages
from ltbench.data.tar_members import Member, read_members
from ltbench.errors import UserError

_BRACES = re.compile(r"\{([^{}]*)\}")
_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip")
_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")


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
    told = _say_others(pattern)
    members = read_members(files)
    labelled = any(member.label is not None for held in members.values() for member in held)
    images = [image for shard, file in enumerate(files) for image in _images(shard, file, members[file], labelled)]
    if not images:
        raise UserError(f"{name} must hold {USUAL}, got none")
    if not labelled:
        images = _in_folders(str(pattern), images, files)
    if labelled:
        trained = {image.label for image in images if image.part == "train"} or {image.label for image in images}
        labels = same_numbers([image.label for image in images], trained)
        images = [image._replace(label=label) for image, label in zip(images, labels, strict=True)]
    parts = _parts(images, files)
    classes = class_numbers(name, {image.label for image in parts["train"]}, numbered=labelled)
    train, test, val = (_source(files, parts[part], classes) if part in parts else None for part in ("train", "test", "val"))
    assert train is not None
    if test is None:
        if not told:
            _say_unread(files, "val" in parts)
        test, val = val, None
    return OwnImages(name, tuple(classes), train, test, val)


def _name(pattern: Path) -> str:
    """Return the last part of a path that says what the images are: no wildcard, and no name of a part."""
    for part in (pattern.stem if pattern.suffix == ".tar" else pattern.name, *(folder.name for folder in pattern.parents)):
        if not re.search(r"[*?\[{]", part) and role_of(part) is None:
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


def _say_others(pattern: Path) -> bool:
    """Warn of a tar of a folder that is not read, for it is compressed, or lies deeper than one folder below."""
    if not pattern.is_dir():
        return False
    inside = os.path.join(glob.escape(str(pattern)), "")
    others = [(file, "it is compressed") for folder in ("", "*/") for ending in _PACKED
              for file in glob.glob(f"{inside}{folder}*{ending}")]
    others += [(file, "it lies deeper than one folder below") for file in glob.glob(f"{inside}*/*/*.tar")]
    for file, why in sorted(others)[:1]:
        print(f"warning: {os.path.relpath(file, pattern)!r} in {pattern.name!r} is not read, for {why}", file=sys.stderr)
    return bool(others)


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
    """Yield the images of a file with class and part, which its name tells, else its folder's.

    Args:
        labelled: Whether classes stand beside the images; the innermost folder in the tar may then tell the part before others.
    """
    outer = role_in(file.stem) or role_of(file.parent.name)
    for member in members:
        folder = os.path.dirname(member.name)
        label = member.label if labelled else folder
        if not label:
            raise _unclassed(member, file, labelled)
        yield _Image(shard, member, labelled and role_of(os.path.basename(folder)) or outer, label)


def _unclassed(member: Member, file: Path, labelled: bool) -> UserError:
    return UserError(f"image {member.name!r} of {str(file)!r} must have its class beside it, in a .cls or as 'label' in a "
                     ".json" + ("" if labelled else ", or lie in a folder of its class"))


def _in_folders(where: str, images: list[_Image], files: list[Path]) -> list[_Image]:
    """Return images with the class and the part that their folders tell, as ``folder:`` reads the tree of all shards.

    Folders around the whole tree are no part of it. Where shards tell the parts, each part may have such folders of its own.
    """
    root = len(_root([image.member.name for image in images]))
    within = folders_within(image.member.name[root:] for image in images)
    roles = part_folders(where, within)
    if any(image.part == "train" for image in images):
        roles = roles if roles.keys() >= within.keys() else {}  # "train" beside "bus" is a class
    elif not roles:
        refuse_parts(where, within)
        images = [image._replace(part="train") for image in images]  # shards called "test" and "val" alone
    others: dict[str | None, list[str]] = {}
    tops = [image.member.name[root:].split("/")[0] for image in images]
    for top, image in zip(tops, images, strict=True):
        if top not in roles:
            others.setdefault(image.part, []).append(image.member.name)
    roots = {part: _root(names) for part, names in others.items()}
    shared = roots.get("train", "")
    classes = {name[len(shared):].split("/")[0] for name in others.get("train", ())}
    for part, own in roots.items():
        if own.startswith(shared) and own[len(shared):].split("/")[0] in classes:  # all images of the part are of one class
            roots[part] = shared
    told = []
    for top, image in zip(tops, images, strict=True):
        above = root + len(top) + 1 if top in roles else len(roots[image.part])
        label, inside, _ = image.member.name[above:].partition("/")
        if not inside:
            raise _unclassed(image.member, files[image.shard], labelled=False)
        told.append(image._replace(part=roles.get(top, image.part), label=label))
    return told


def _root(names: list[str]) -> str:
    """Return the folders that all class folders lie in, with a slash behind; nothing where there are none."""
    folders = {os.path.dirname(name) for name in names}
    shared = os.path.commonpath(folders if len(folders) > 1 else map(os.path.dirname, folders))
    return f"{shared}/" if shared else ""


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


def _say_unread(files: list[Path], val: bool) -> None:
    """Warn of a tar beside those that are read whose name says that it is one to test on.

    Args:
        val: Whether the validation part is tested on.
    """
    roles = ("test",) if val else ("test", "val")
    known = set(files)
    for folder in dict.fromkeys(file.parent for file in files):
        with suppress(OSError):  # what may not be listed is no part
            for other in sorted(other for ending in (".tar", *_PACKED) for other in folder.glob(f"*{ending}")):
                if other not in known and role_in(other.name.partition(".")[0]) in roles:
                    say_not_read(other.name, files[0].name, "tar: was given others", ("val",) if val else ())
                    return


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
