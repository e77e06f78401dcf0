"""Which splits of a Hugging Face set are trained and tested on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ltbench.data.encoded import ENDINGS
from ltbench.data.part_folders import role_of, role_of_path
from ltbench.data.walking import images_below, require_there
from ltbench.errors import UserError

_PLAIN = {"train": ("train",), "test": ("test",), "val": ("val", "validation")}
_TABLES = (".parquet", ".arrow", ".tar")  # that hold images


def chosen_splits(name: str, splits: Mapping[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
    """Return splits by their roles, which options or their names tell; those that are not read are named on stderr.

    Args:
        name: Of the set.
        options: As typed: which split has a role.

    Raises:
        UserError: If a split is not there, two could be meant, one is meant twice, or none is trained on.
    """
    asked = {role: options[role] for role in _PLAIN if role in options}
    found: dict[str, str] = {}
    others: list[str] = []
    for role in _PLAIN:
        if role in asked and asked[role] not in splits:
            raise UserError(f"{name} must have the split {asked[role]!r}, got {', '.join(splits)}")
        named = [asked[role]] if role in asked else [split for split in splits
                                                     if role_of(split) == role and split not in asked.values()]
        plain = [split for split in named if split.lower() in _PLAIN[role]]
        if len(named) > 1 and len(plain) == 1:
            others += (other := [split for split in named if split not in plain])
            print(f"warning: of {name} {', '.join(map(repr, other))} is not read, for {plain[0]!r} is the {role} part; "
                  f"another is meant with hf:...({role}=SPLIT)", file=sys.stderr)
            named = plain
        if len(named) > 1:
            raise UserError(f"{name} must have one split of the {role} part, or say which: hf:...({role}=SPLIT), got "
                            f"{' and '.join(map(repr, named))}")
        if named:
            found[role] = named[0]
    if len(set(found.values())) < len(found):
        raise UserError(f"{name} must have a split of its own for each part, got "
                        f"{', '.join(f'{role}={split}' for role, split in found.items())}")
    if "train" not in found and len(splits) == 1 and not asked:
        return {"train": next(iter(splits.values()))}
    if "train" not in found:
        raise UserError(f"{name} must say which split is trained on, hf:...(train=SPLIT), got {', '.join(splits)}")
    # A split whose role another one was given is left alone on purpose.
    if unread := [split for split in splits if split not in (*found.values(), *others) and role_of(split) not in asked]:
        tested = ("" if "test" in found else f": {found['val']!r} is tested on" if "val" in found else
                  ": a fifth of each class is set apart")
        print(f"warning: of {name} {', '.join(map(repr, unread))} is not read, for its name is that of no part, such as 'test'"
              f"{tested}", file=sys.stderr)
    return {role: splits[split] for role, split in found.items()}


def require_told_apart(folder: Path, files: Mapping[str, Iterable[str]]) -> None:
    """Refuse what the library trains on though its name says otherwise, and name on stderr a file or a folder that it leaves out.

    It knows fewer names than ``folder:`` does: ``testset.parquet`` beside ``trainset.parquet`` is of its split ``train``. Where a
    ``README.md`` may say which files a split has, they are as that says.

    Args:
        files: Those of each split.

    Raises:
        UserError: If it is so, naming the file.
    """
    if (folder / "README.md").exists():
        return
    read = {split: sorted(path for path in map(Path, held) if path.suffix.lower() in _TABLES) for split, held in files.items()}
    for path in read.get("train", ()):
        if path.is_relative_to(folder) and (role_of_path(path.relative_to(folder)) or "train") != "train":
            raise UserError(f"{str(folder)!r} must hold files called 'train', 'test' or 'validation', which the library datasets "
                            f"tells apart, got {str(path.relative_to(folder))!r}, which it takes for training")
    inside = _tops(files.get("train", ()))
    if any(role == "train" for role in inside.values()):
        for name in (name for name, role in inside.items() if role != "train"):
            raise UserError(f"{str(folder)!r} must hold folders called 'train', 'test' or 'validation', which the library "
                            f"datasets tells apart, got {name!r}, which it takes for training; folder: knows more names")
    folders = {Path(inner) for inner in {os.path.dirname(file) for held in files.values() for file in held}}
    known = {path for held in read.values() for path in held}
    known |= {path for inner in folders for path in (inner, *inner.parents) if folder in path.parents}
    for path in sorted(other for where in {path.parent for path in known} for other in where.iterdir()):
        if path not in known and not path.name.startswith((".", "_")) and _holds_images(path):
            print(f"warning: {path.name!r} in {folder.name!r} is not read, for the library datasets knows no split by its name",
                  file=sys.stderr)
            return


def _holds_images(path: Path) -> bool:
    try:
        require_there(str(path))
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    if not path.is_dir():
        return path.suffix.lower() in _TABLES
    with suppress(OSError):  # what may not be entered is no part
        return bool(images_below(os.fsencode(path), (*ENDINGS, *map(str.encode, _TABLES))))
    return False


def _tops(files: Iterable[str]) -> dict[str, str]:
    """Return the roles of the folders that are called like parts, in the innermost folder that holds all files."""
    folders = {os.path.dirname(file) for file in files}
    root = os.path.commonpath(folders) if folders else ""
    tops = dict.fromkeys(os.path.relpath(folder, root).split(os.sep)[0] for folder in sorted(folders))
    return {name: role for name in tops if (role := role_of(name))}
