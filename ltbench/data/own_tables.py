"""``csv:FILE`` and ``parquet:FILE``: images that a table names, a row each: path, label, perhaps split and group."""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltbench.data.beside import file_beside, say_unread
from ltbench.data.files import FileImages
from ltbench.data.labels import class_numbers, same_numbers
from ltbench.data.lists import require_one_label, with_slashes
from ltbench.data.own import ROLES, OwnImages, own_files, own_path, safe_name
from ltbench.data.paths import Paths
from ltbench.errors import UserError

# What people call a column, the first that is there being meant.
COLUMNS = {"path": ("path", "file", "filename", "file_name", "filepath", "image", "image_path"),
           "label": ("label", "class", "category", "target", "label_name", "class_name"),
           "split": ("split", "subset", "part"),
           "group": ("group", "group_id")}
_NEEDED = ("path", "label")
EXTRA = "pip install 'ltbench[hf]'"


@dataclass(frozen=True)
class Table:
    """Hold the columns that matter, as text.

    Args:
        where: What is said of a row where it is wrong: "line 7 of 'pets.csv'".
    """

    columns: Mapping[str, Sequence[str]]
    where: Sequence[str]


def open_csv(typed: str) -> OwnImages:
    """Read a text table whose first line names the columns.

    Raises:
        UserError: If it cannot be read, a row is wrong, or a class cannot be trained or tested on.
    """
    file = own_path(typed, "csv:")
    return _open("csv", file, _with_parts(file, _read_csv), file.parent)


def open_parquet(typed: str) -> OwnImages:
    """Read a Parquet file, or a folder of such files, that names images; images within it are for ``hf:``."""
    file = own_path(typed, "parquet:")
    return _open("parquet", file, _with_parts(file, _read_parquet), file if file.is_dir() else file.parent)


def _with_parts(file: Path, read: Callable[[Path], Table]) -> Table:
    """Read a table; one that tells no parts apart is joined with those of the test and validation parts beside it."""
    table = read(file)
    if "split" in table.columns:
        return table
    beside = {part: file_beside(file, part) for part in ("test", "val")}
    tables = {"train": table, **{part: read(other) for part, other in beside.items() if other is not None}}
    columns = {name for one in tables.values() for name in one.columns} - {"split"}
    joined = {name: [text for one in tables.values() for text in one.columns.get(name, [""] * len(one.where))]
              for name in columns}
    joined["split"] = [part for part, one in tables.items() for _ in one.where]
    return Table(joined, [where for one in tables.values() for where in one.where])


def _open(family: str, file: Path, table: Table, folder: Path) -> OwnImages:
    name = f"{family}:{safe_name(file.stem)}"
    for column, texts in table.columns.items():
        for row, text in enumerate(texts):
            if (not text and column != "group") or "\0" in text:
                raise UserError(f"{table.where[row]} must have a {column}, got {text!r}")
    names = with_slashes(folder, [os.fsencode(text) for text in table.columns["path"]])
    labels = same_numbers(table.columns["label"])
    require_one_label(file, names, labels)
    parts = _parts(table, file)
    classes = class_numbers(name, {labels[row] for row in parts["train"]})
    for row in (row for rows in parts.values() for row in rows if labels[row] not in classes):
        raise UserError(f"{table.where[row]} must be of a class that is trained on, got {labels[row]!r}")
    groups = _groups(table, parts)
    sources: dict[str, FileImages] = {}
    for part, rows in parts.items():
        numbers = torch.tensor([classes[labels[row]] for row in rows], dtype=torch.int64)
        source = own_files((Paths(folder, (names[row] for row in rows)), numbers))
        sources[part] = source if groups is None else replace(source, groups=groups[rows])
    test = sources.get("test") or sources.pop("val", None)
    return OwnImages(name, tuple(classes), sources["train"], test, sources.get("val"))


def _parts(table: Table, file: Path) -> dict[str, list[int]]:
    """Return the rows of each part."""
    parts: dict[str, list[int]] = {}
    for row, text in enumerate(table.columns["split"]):
        if text.lower() not in ROLES:
            raise UserError(f"{table.where[row]} must have a split of {', '.join(ROLES)}, got {text!r}")
        parts.setdefault(ROLES[text.lower()], []).append(row)
    if "train" not in parts:
        raise UserError(f"{str(file)!r} must have rows of the split 'train', got {' and '.join(parts)} alone")
    if len(parts) == 1:
        say_unread(file)
    return parts


def _groups(table: Table, parts: Mapping[str, list[int]]) -> Any:
    """Return each row's group as a number, shape (N,), or None; a row without one is a group of its own.

    Raises:
        UserError: If a group is tested on that stands in another part too.
    """
    if "group" not in table.columns:
        return None
    texts = table.columns["group"]
    tested = next((part for part in ("test", "val") if part in parts), "train")
    for other in parts.keys() - {tested}:
        both = {texts[row] for row in parts[tested]} & {texts[row] for row in parts[other]} - {""}
        if both:
            raise UserError(f"images of one group must be in one part, got {min(both)!r} in {other} and {tested}")
    _, numbers = np.unique([text or f"\0{row}" for row, text in enumerate(texts)], return_inverse=True)
    return numbers.astype(np.int64)


def _found(file: Path, names: Sequence[str]) -> dict[str, int]:
    """Return where the columns stand that matter.

    Raises:
        UserError: If there is none for the path or the label, or two that are called alike.
    """
    known = [name.strip().lower() for name in names]
    found = {column: next((known.index(name) for name in called if name in known), None) for column, called in COLUMNS.items()}
    if any(found[column] is None for column in _NEEDED):
        raise UserError(f"{str(file)!r} must name its columns, a path ({', '.join(COLUMNS['path'])}) and a label "
                        f"({', '.join(COLUMNS['label'])}) among them, got {', '.join(repr(name[:40]) for name in names[:8])}")
    places = {column: place for column, place in found.items() if place is not None}
    for place in places.values():
        if known.count(known[place]) > 1:
            raise UserError(f"{str(file)!r} must have one column {known[place]!r}, got {known.count(known[place])}")
    return places


def _read_csv(file: Path) -> Table:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be read: {error.strerror}") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{str(file)!r} must be UTF-8 text or plain bytes, got UTF-16")
    rows = _rows(file, content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape"))
    _, header = next(rows, (0, []))
    found = _found(file, header)
    columns: dict[str, list[str]] = {column: [] for column in found}
    where = []
    for line, values in rows:
        where.append(f"line {line} of {str(file)!r}")
        if len(values) != len(header):
            raise UserError(f"{where[-1]} must have {len(header)} values, as the first line has names, got {len(values)}")
        for column, place in found.items():
            columns[column].append(values[place].strip())
    if not where:
        raise UserError(f"{str(file)!r} lists no image")
    return Table(columns, where)


def _rows(file: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield lines that hold something, with their numbers; commas, semicolons or tabs stand between values."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    while True:
        try:
            values = next(reader, None)
        except csv.Error as error:
            raise UserError(f"line {reader.line_num} of {str(file)!r} cannot be read: {error}") from error
        if values is None:
            return
        if any(value.strip() for value in values):
            yield reader.line_num, values


def _read_parquet(file: Path) -> Table:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError(f"parquet: needs pyarrow: {EXTRA}") from None
    try:
        schema = parquet.ParquetDataset(file).schema
        found = _found(file, schema.names)
        held = schema.field(found["path"]).type
        if pyarrow.types.is_struct(held) or pyarrow.types.is_binary(held) or pyarrow.types.is_large_binary(held):
            raise UserError(f"{str(file)!r} holds images themselves, which hf: reads: --dataset hf:{file.name}")
        table = parquet.read_table(file, columns=[schema.names[place] for place in found.values()])
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{str(file)!r} cannot be read: {reason:.200}") from error
    if not table.num_rows:
        raise UserError(f"{str(file)!r} lists no image")
    columns = {column: list(map(_text, table.column(schema.names[place]).to_pylist())) for column, place in found.items()}
    return Table(columns, [f"row {row} of {str(file)!r}" for row in range(table.num_rows)])


def _text(value: Any) -> str:
    """Return a cell as a text table would have it: pandas makes a float of an integer beside an empty cell."""
    if value is None or isinstance(value, float) and value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
