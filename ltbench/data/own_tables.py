"""``csv:FILE`` and ``parquet:FILE``: images that a table names, a row each: path, label, perhaps split and group."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from ltbench.data.beside import file_beside, say_beside, say_unread
from ltbench.data.files import FileImages
from ltbench.data.grouped import group_numbers
from ltbench.data.labels import class_numbers, same_numbers
from ltbench.data.lists import require_one_label, with_slashes
from ltbench.data.own import ROLES, OwnImages, own_files, own_path, safe_name
from ltbench.data.parquet_tables import read_parquet
from ltbench.data.paths import Paths
from ltbench.data.tables import NO_LABELS, NoLabels, Table, find_columns, refuse_part_column
from ltbench.errors import UserError

_PARTS = 30  # ways in which a column may write its parts


def open_csv(typed: str) -> OwnImages:
    """Read a text table whose first line names the columns.

    Raises:
        UserError: If it cannot be read, a row is wrong, or a class cannot be trained or tested on.
    """
    file = own_path(typed, "csv:")
    return _open("csv", file, _with_parts(file, _read_csv), file.parent)


def open_parquet(typed: str) -> OwnImages:
    """Read a Parquet file, or a folder of such files, that names images; images within it are for ``hf:``.

    Raises:
        UserError: If it cannot be read, a row is wrong, or a class cannot be trained or tested on.
    """
    file = own_path(typed, "parquet:")
    return _open("parquet", file, _with_parts(file, read_parquet), file if file.is_dir() else file.parent)


def _with_parts(file: Path, read: Callable[[Path], Table]) -> Table:
    """Read a table; one that tells no parts apart is joined with those of the test and validation parts beside it.

    A table beside without classes is left alone, and named on stderr.
    """
    table = read(file)
    if "split" in table.columns:
        told = {ROLES.get(text.lower()) for text in table.columns["split"]}
        if "train" in told and "test" not in told:
            say_unread(file, file if "val" in told else None, f"{file.name!r} tells the parts itself")
        return table
    if file.is_dir():
        say_unread(file)
        return replace(table, columns={**table.columns, "split": ["train"] * len(table.where)})
    tables, unused = {"train": table}, {}
    for part, other in ((part, file_beside(file, part)) for part in ("test", "val")):
        if other is not None:
            try:
                tables[part] = read(other)
            except NoLabels:
                unused[part] = NO_LABELS
    say_beside(file, tables, unused)
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
    parts = _parts(table, file)
    # In UTF-8, as the table is, whatever the locale's own encoding.
    names = with_slashes(folder, [text.encode(errors="surrogateescape") for text in table.columns["path"]])
    labels = same_numbers(table.columns["label"], {table.columns["label"][row] for row in parts["train"]})
    require_one_label(file, names, labels)
    classes = class_numbers(name, {labels[row] for row in parts["train"]})
    for row in (row for rows in parts.values() for row in rows if labels[row] not in classes):
        raise UserError(f"{table.where[row]} must be of a class that is trained on, got {labels[row]!r}")
    groups, wrong = group_numbers(table.columns["group"], parts) if "group" in table.columns else (None, None)
    if wrong:
        raise UserError(wrong)
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
    return {part: parts[part] for part in ("train", "test", "val") if part in parts}


def _read_csv(file: Path) -> Table:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be read: {error.strerror}") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{str(file)!r} must be UTF-8 text or plain bytes, got UTF-16")
    rows = _rows(file, content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape"))
    _, header = next(rows, (0, []))
    found = find_columns(file, header)
    columns: dict[str, list[str]] = {column: [] for column in found}
    unread = {} if "split" in found else {name: set[str]() for name in header if header.index(name) not in found.values()}
    where = []
    for line, values in rows:
        where.append(f"line {line} of {str(file)!r}")
        if len(values) != len(header):
            raise UserError(f"{where[-1]} must have {len(header)} values, as the first line has names, got {len(values)}")
        for column, place in found.items():
            columns[column].append(values[place].strip())
        for name, value in zip(header, values, strict=True) if unread else ():
            if name in unread:
                unread[name].add(value)
                if len(unread[name]) > _PARTS:
                    del unread[name]
    if not where:
        raise UserError(f"{str(file)!r} lists no image")
    refuse_part_column(file, unread)
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
