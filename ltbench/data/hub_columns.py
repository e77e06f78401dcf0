"""The columns of a Hugging Face set that matter: images, classes and groups."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ltbench.data.arrays import Ints
from ltbench.data.grouped import group_numbers
from ltbench.data.labels import cell_text, class_numbers, say_alike
from ltbench.data.part_columns import LOOKED_AT, may_tell_parts, part_column
from ltbench.data.tables import COLUMNS
from ltbench.errors import UserError


def image_column(name: str, datasets: Any, features: Mapping[str, Any], asked: str | None) -> str:
    """Return the one column of images, or the one that is asked for."""
    found = [column for column, kind in features.items() if isinstance(kind, datasets.Image)
             or isinstance(kind, dict) and kind.keys() == {"bytes", "path"}]
    if asked in found or asked is None and len(found) == 1:
        return asked or found[0]
    raise UserError(f"{name} must have one column of images, or say which: hf:...(image=COLUMN), got "
                    f"{', '.join(found or features)}")


def label_column(name: str, datasets: Any, features: Mapping[str, Any], asked: str | None) -> str:
    """Return the column of classes: the one with names for them, or the one that is called so, or is asked for."""
    fitting = [column for column, kind in features.items() if isinstance(kind, (datasets.ClassLabel, datasets.Value))]
    found = [column for column in fitting if isinstance(features[column], datasets.ClassLabel)]
    usual = [column for column in COLUMNS["label"] if column in fitting]
    if asked in fitting or asked is None and (len(found) == 1 or usual):
        return asked or (found if len(found) == 1 else usual)[0]
    raise UserError(f"{name} must have one column of classes, or say which: hf:...(label=COLUMN), got "
                    f"{', '.join(found or features)}")


def groups_of(name: str, parts: Mapping[str, Any], column: str, *, official: bool) -> dict[str, Ints]:
    """Return each image's group by the parts, one number for a group wherever it stands.

    Args:
        official: Whether others chose the parts, so that a group in two is told, not refused.
    """
    texts: list[str] = []
    held = {}
    for part, rows in parts.items():
        held[part] = range(len(texts), len(texts) + len(rows))
        for row, value in enumerate(rows[column][:]):
            text = cell_text(value)
            if text is None:
                raise UserError(f"row {row} of the {part} part of {name} must have text or a number in {column!r}, got "
                                f"{str(value):.40}")
            texts.append(text)
    numbers, wrong = group_numbers(texts, held)
    if wrong and not official:
        raise UserError(wrong)
    if wrong:
        print(f"warning: {wrong}: {name} is used as its authors made it", file=sys.stderr)
    return {part: numbers[places.start:places.stop] for part, places in held.items()}


def labels_of(name: str, part: str, rows: Any, column: str) -> Sequence[str]:
    """Return the class of each row as text, its name where the column has names."""
    names = getattr(rows.features[column], "names", None)
    found: list[str] = []
    for row, value in enumerate(rows[column][:]):
        text = cell_text(value)
        if not text or isinstance(value, float) or names and not 0 <= value < len(names):
            raise UserError(f"row {row} of the {part} part of {name} must have a class in {column!r}, got {value!r:.40}; another "
                            "column or split is named by hf:...(label=COLUMN,test=SPLIT)")
        found.append(names[value] if names else text)
    return found


def part_told(datasets: Any, rows: Any, known: Collection[str | None]) -> str | None:
    """Return the column of a part that tells parts apart itself; None where there is none.

    Args:
        known: Columns that are read as something else.
    """
    columns = {}
    for column, kind in rows.features.items():
        if column not in known and isinstance(kind, (datasets.ClassLabel, datasets.Value)):
            names = getattr(kind, "names", None)

            def texts(values: Iterable[Any], names: Sequence[str] | None = names) -> set[str]:
                return {names[value] if names and value is not None and value >= 0 else cell_text(value) or ""
                        for value in values}

            alone = rows.select_columns([column])
            if may_tell_parts(column, texts(alone[:LOOKED_AT][column])):
                columns[column] = texts(alone.unique(column))
    return part_column(columns)


def classes_of(name: str, names: Sequence[str] | None, labels: Sequence[str]) -> dict[str, int]:
    """Return the numbers of the classes that have training images: in the column's own order, where it has one."""
    if names is None:
        return class_numbers(name, set(labels))
    held = set(labels)
    say_alike(name, held)
    return {one: k for k, one in enumerate(one for one in names if one in held)}
