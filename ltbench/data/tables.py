"""What tables of images have in common, however they are stored: which columns matter, and what those hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ltbench.data.part_columns import part_column
from ltbench.errors import UserError

# What people call a column, the first that is there being meant.
COLUMNS = {"path": ("path", "file", "filename", "file_name", "filepath", "image", "image_path"),
           "label": ("label", "class", "category", "target", "label_name", "class_name"),
           "split": ("split", "subset", "part"),
           "group": ("group", "group_id")}
_NEEDED = ("path", "label")
NO_LABELS = "it has no column 'label'"
EXTRA = "pip install 'ltbench[hf]'"


class NoLabels(UserError):
    """Report a table of images without a column of classes: Kaggle gives none of the images to test on."""


@dataclass(frozen=True)
class Table:
    """Hold the columns that matter, as text.

    Args:
        where: What is said of a row where it is wrong: "line 7 of 'pets.csv'".
    """

    columns: Mapping[str, Sequence[str]]
    where: Sequence[str]


def refuse_part_column(file: Path, columns: Mapping[str, Iterable[str]]) -> None:
    """Refuse a table that has no column ``split`` and tells the parts in one of another name.

    Args:
        columns: The values of each column that is not read, by its name.

    Raises:
        UserError: If it does.
    """
    if name := part_column(columns):
        raise UserError(f"{str(file)!r} must tell the parts in a column called 'split', got {name!r}, which looks like it: call "
                        "it so, with train, test or val in it, or leave it out")


def find_columns(file: Path, names: Sequence[str]) -> dict[str, int]:
    """Return where the columns stand that matter.

    Raises:
        NoLabels: If there is one for the path and none for the label.
        UserError: If there is none for the path, or two that are called alike.
    """
    known = [name.strip().lower() for name in names]
    found = {column: next((known.index(name) for name in called if name in known), None) for column, called in COLUMNS.items()}
    if any(found[column] is None for column in _NEEDED):
        raise (UserError if found["path"] is None else NoLabels)(
            f"{str(file)!r} must name its columns, a path ({', '.join(COLUMNS['path'])}) and a label "
            f"({', '.join(COLUMNS['label'])}) among them, got {', '.join(repr(name[:40]) for name in names[:8])}")
    places = {column: place for column, place in found.items() if place is not None}
    for place in places.values():
        if known.count(known[place]) > 1:
            raise UserError(f"{str(file)!r} must have one column {known[place]!r}, got {known.count(known[place])}")
    return places
