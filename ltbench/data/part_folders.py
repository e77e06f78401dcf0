"""What the names of folders tell: which hold a part of a set, and which look like parts where classes are expected."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePath

from ltbench.data.own import ROLES
from ltbench.errors import UserError

_MORE = r"(?:[\W_]*(?:sets?|data|split|images?|imgs?|photos?|pictures?))*"
_CLEAR = re.compile(rf"({'|'.join(ROLES)}){_MORE}")
_SAYS = re.compile(rf"(?<![a-z])({'|'.join(ROLES)}){_MORE}(?![a-z])")

_FOLD = re.compile(r"(?:(?:cv|fold|split|subset)[\W_]*)+\d+")


def role_of(name: str) -> str | None:
    """Return the part that a folder's whole name means: ``test`` for ``Testing``, ``test_set`` and ``Test Images``."""
    clear = _CLEAR.fullmatch(name.lower())
    return ROLES[clear[1]] if clear else None


def role_in(name: str) -> str | None:
    """Return the first part that a name speaks of, whatever else it says: ``train`` for ``pets-train-000``."""
    said = _SAYS.search(name.lower())
    return ROLES[said[1]] if said else None


def role_of_path(path: PurePath) -> str | None:
    """Return the part that a file's name speaks of, else the innermost of its folders that is called like one.

    Spark's ``train.parquet`` is a folder.
    """
    return role_in(path.stem) or next(filter(None, (role_of(folder.stem) for folder in path.parents)), None)


def folders_within(names: Iterable[str]) -> dict[str, set[str]]:
    """Return the folders that files lie in by the first part of their paths, each with the names of the folders in it."""
    found: dict[str, set[str]] = {}
    for folder in dict.fromkeys(name.rpartition("/")[0] for name in names):
        outer, *inner = folder.split("/")
        if outer:
            found.setdefault(outer, set()).update(inner[:1])
    return found


def part_folders(where: str, within: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return the roles of the folders that are parts by their names; none where the folders are classes.

    Args:
        where: What holds the folders.
        within: The names of the folders in each; those of parts alone matter.

    Raises:
        UserError: If two folders have one role.
    """
    # Kaggle's "test_images", without folders in it, holds images without classes.
    roles = {name: role for name, held in within.items() if (role := role_of(name)) and (held or name.lower() in ROLES)}
    if not any(role == "train" and within[name] for name, role in roles.items()):
        return {}  # a class may be called "test", or "train"
    if len(set(roles.values())) < len(roles):
        raise UserError(f"{where!r} must have one folder for each of training, validation and testing, got "
                        f"{', '.join(map(repr, roles))}")
    return roles


def refuse_parts(where: str, within: Mapping[str, set[str]]) -> None:
    """Refuse folders of classes some of which look like parts, whose test images would be trained on.

    Folders in the folders of classes are no reason by themselves, even if each class has the same ones (``indoor`` and
    ``outdoor``): the outer names must speak of parts, or the inner ones must be the classes.

    Args:
        where: What holds the folders.
        within: The names of the folders in each.

    Raises:
        UserError: If it is so, naming the folders.
    """
    rule = f"{where!r} must hold folders of classes, or of parts called 'train', 'test' or 'val', got"
    said = {name: role for name in within if (role := role_in(name))}
    like = {name: (held & within.keys()) - {name} for name, held in within.items()}
    plain = {name for name, others in like.items() if not others}
    for name, others in like.items():
        # Beside "cat" and "dog", "heldout" with just these is a part whatever its name; "mixed" with some of them may be a class.
        if others and (name in said or len(plain) > 1 and others >= plain):
            raise UserError(f"{rule} {name!r} with folders called like the classes {_listed(others)}")
    for name, role in said.items():
        for other, theirs in within.items():
            # "freight train" and "passenger train" may be classes, "test tube" and "beaker", "valid" and "invalid"; "pets_train"
            # and "pets_test" are none, nor are "test" and "images".
            if other != name and (said.get(other, role) != role or role_of(name) == "test"):
                both = within[name] & theirs
                if not both and name in within[name] and other in theirs:  # Kaggle's seg_train/seg_train/CLASS
                    both = {name, other}
                if len(both) > 1:
                    raise UserError(f"{rule} {name!r} and {other!r}, which look like parts: they hold {_listed(both)}")
    folds = [name for name in within if _FOLD.fullmatch(name.lower())]
    if 1 < len(folds) == len(within) and len(both := set.intersection(*within.values())) > 1:
        raise UserError(f"{rule} {_listed(folds)}, which look like folds of one set: they hold {_listed(both)}")
    inner = {inside: f"{name}/{folder}" for name, held in within.items() for folder in held if (inside := role_of(folder))}
    if "train" in inner and len(inner) > 1:
        raise UserError(f"{rule} {_listed(inner.values())}")


def _listed(names: Collection[str]) -> str:
    return ", ".join(map(repr, sorted(names)[:3])) + (", ..." if len(names) > 3 else "")
