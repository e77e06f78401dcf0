"""Parquet files that name images, one or a folder of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

from ltbench.data.beside import say_not_read
from ltbench.data.encoded import ENDINGS
from ltbench.data.labels import cell_text
from ltbench.data.part_columns import LOOKED_AT, may_tell_parts
from ltbench.data.part_folders import role_of_path
from ltbench.data.tables import EXTRA, NO_LABELS, NoLabels, Table, find_columns, refuse_part_column
from ltbench.data.walking import images_below
from ltbench.errors import UserError

_FILE = "__filename"  # Arrow's own column
_BEGINS = b"PAR1"  # every Parquet file, whatever its name


def read_parquet(file: Path) -> Table:
    """Read a Parquet file, or all that a folder holds; where no column does, their names tell the parts.

    Raises:
        UserError: If it cannot be read, a cell that matters is no text, or some files alone name a part.
    """
    try:
        import pyarrow
        from pyarrow import dataset as arrow
    except ImportError:
        raise UserError(f"parquet: needs pyarrow: {EXTRA}") from None
    try:
        within = {"partitioning": "hive", "partition_base_dir": str(file)} if file.is_dir() else {}  # label=cat/0.parquet
        held = arrow.dataset(_files(file), format="parquet", **within)
        if file.is_dir():
            held = arrow.FileSystemDataset(_labelled(file, held.get_fragments()), held.schema, held.format, held.filesystem)
        schema = held.schema
        for fragment in held.get_fragments():  # the first file's schema alone would drop the columns that others have more
            for field in fragment.physical_schema:
                if field.name not in schema.names:
                    schema = schema.append(field)
        found = find_columns(file, schema.names)
        kind = schema.field(found["path"]).type
        if pyarrow.types.is_struct(kind) or pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind):
            raise UserError(f"{str(file)!r} holds images themselves, which hf: reads: --dataset hf:{file.name}")
        held = held.replace_schema(schema)
        table = held.to_table([*(schema.names[place] for place in found.values()), _FILE])
        if "split" not in found:
            others = [name for place, name in enumerate(schema.names) if place not in found.values()
                      and schema.names.count(name) == 1 and not name.startswith(".")]  # a path of names, to Arrow
            refuse_part_column(file, _unread(held, others))
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{str(file)!r} cannot be read: {reason:.200}") from error
    if not table.num_rows:
        raise UserError(f"{str(file)!r} lists no image")
    files = table.column(_FILE).to_pylist()
    where = _where(files)
    columns: dict[str, list[str]] = {}
    for column, place in found.items():
        texts = columns[column] = []
        for row, value in enumerate(table.column(schema.names[place]).to_pylist()):
            text = cell_text(value)
            if text is None:
                raise UserError(f"{where[row]} must have a {column} that is text or a number, got {str(value):.40}")
            texts.append(text)
    if "split" not in columns and file.is_dir():
        columns |= _told(file, files)
    return Table(columns, where)


def _files(file: Path) -> str | list[str]:
    """Return the Parquet files of a folder, in which images and notes may lie too; where none is called so, all that it holds."""
    if not file.is_dir():
        return str(file)
    inner = [path for path in map(Path, map(os.fsdecode, images_below(os.fsencode(file), (b"",))))
             if not any(part.startswith("_") for part in path.parts)]
    named = sorted(path for path in inner if path.suffix.lower() == ".parquet")
    known, images = set(named), set(map(os.fsdecode, ENDINGS))
    for path in inner if named else ():
        # Images may lie there by the thousand.
        if path not in known and path.suffix.lower() not in images and _is_parquet(file / path):
            print(f"warning: {str(path)!r} in {file.name!r} is not read, for its name does not end with .parquet",
                  file=sys.stderr)
            break
    return [str(file / path) for path in named] or str(file)


def _labelled(folder: Path, fragments: Iterable[Any]) -> list[Any]:
    """Leave out files of other parts than that of training which hold no classes, and name the first on stderr."""
    from pyarrow import dataset as arrow

    def lacks(fragment: Any) -> bool:
        try:
            find_columns(folder, [*fragment.physical_schema.names, *arrow.get_partition_keys(fragment.partition_expression)])
        except UserError as problem:
            return isinstance(problem, NoLabels)
        return False

    fragments = list(fragments)
    roles = {fragment.path: role_of_path(PurePath(os.path.relpath(fragment.path, folder))) for fragment in fragments}
    lacking = [fragment.path for fragment in fragments if roles[fragment.path] in ("test", "val") and lacks(fragment)]
    read = {role: path for path, role in roles.items() if role and path not in lacking}
    if "train" not in read:
        return fragments
    for path in lacking[:1]:
        say_not_read(os.path.relpath(path, folder), os.path.relpath(read["train"], folder), NO_LABELS, read)
    return [fragment for fragment in fragments if fragment.path not in lacking]


def _is_parquet(file: Path) -> bool:
    with suppress(OSError), file.open("rb") as stream:  # what may not be read is no table
        return stream.read(len(_BEGINS)) == _BEGINS
    return False


def _unread(held: Any, names: Sequence[str]) -> dict[str, set[str]]:
    """Return the values of columns that may tell parts, each once, as a look at the first rows has it."""
    def texts(column: Any) -> set[str]:
        return {cell_text(value) or "" for value in column.unique().to_pylist()}

    first = held.head(LOOKED_AT, columns=list(names))
    likely = [name for name in names if _is_plain(first.column(name).type) and may_tell_parts(name, texts(first.column(name)))]
    return {name: texts(held.to_table([name]).column(name)) for name in likely}


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind) or types.is_boolean(kind)
                or types.is_integer(kind))


def _where(files: Sequence[str]) -> list[str]:
    """Return what is said of each row: its number in its own file."""
    counts = dict.fromkeys(files, -1)
    where = []
    for file in files:
        counts[file] += 1
        where.append(f"row {counts[file]} of {file!r}")
    return where


def _told(folder: Path, files: Sequence[str]) -> dict[str, list[str]]:
    """Return the column ``split`` as the files' names tell it: ``train-00000-of-00002.parquet``, ``test/0.parquet``.

    As in tars, they tell nothing where none says ``train``.
    """
    roles = {file: role_of_path(PurePath(os.path.relpath(file, folder))) for file in dict.fromkeys(files)}
    told = {file: role for file, role in roles.items() if role is not None}
    others = [file for file in roles if file not in told]
    if "train" not in told.values():
        if told and others:
            print(f"warning: {os.path.relpath(next(iter(told)), folder)!r} in {folder.name!r} is trained on like "
                  f"{os.path.relpath(others[0], folder)!r}, for no file's name says 'train'", file=sys.stderr)
        return {}
    for file in others:
        raise UserError(f"{str(folder)!r} must hold files whose names all say train, test or val, or none, got "
                        f"{os.path.relpath(next(iter(told)), folder)!r} and {os.path.relpath(file, folder)!r}")
    return {"split": [told[file] for file in files]}
