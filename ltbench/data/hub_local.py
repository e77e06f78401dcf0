"""What ``hf:PATH`` reads: folders and files here, by Hugging Face's library ``datasets``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ltbench.data.beside import file_beside, say_not_read, say_unread
from ltbench.data.hub_splits import require_told_apart
from ltbench.errors import UserError, brief
from ltbench.system.settings import cache_root

_FORMS = {".parquet": "parquet", ".arrow": "arrow", ".csv": "csv", ".json": "json", ".jsonl": "json", ".tar": "webdataset"}
_SAVED = ("dataset_dict.json", "state.json")  # of save_to_disk


def read_local(datasets: Any, path: Path, config: str | None) -> tuple[Any, dict[str, str]]:
    """Read a folder, or a file with those of the other parts beside it.

    Returns:
        What the library makes of it, and why files beside are not read, by their parts.

    Raises:
        UserError: If the file is of no form that the library reads, or the library takes for training what is not.
        Exception: What the library raises.
    """
    cache = str(cache_root() / "data" / "hf")
    if path.is_dir() and any((path / file).is_file() for file in _SAVED):
        return datasets.load_from_disk(str(path)), {}
    if path.is_dir():
        builder = datasets.load_dataset_builder(str(path), config, cache_dir=cache)
        require_told_apart(path, builder.config.data_files or {})
        builder.download_and_prepare()
        return builder.as_dataset(), {}
    if path.suffix.lower() not in _FORMS:
        raise UserError(f"hf: must be followed by a folder or a file that ends with {', '.join(_FORMS)}, got {path.name!r}")
    beside = {part: file_beside(path, part) for part in ("test", "val")}
    splits, unread = {}, {}
    for part, file in {"train": path, **beside}.items():
        if file is None:
            continue
        try:  # each by itself, for the library refuses files of which one has a column more
            splits[part] = datasets.load_dataset(_FORMS[path.suffix.lower()], data_files={part: str(file)}, cache_dir=cache)[part]
        except Exception as error:  # the library has no error of its own for what its many readers raise
            if part == "train":
                raise
            unread[part] = f"it cannot be read ({brief(error)})"
    return splits, unread


def lacking(parts: Mapping[str, Any], columns: Collection[str]) -> dict[str, str]:
    """Return why parts cannot be used, by their names: Kaggle's images to test on have no classes."""
    lacks = {part: next((column for column in columns if column not in rows.features), None) for part, rows in parts.items()}
    return {part: f"it has no column {column!r}" for part, column in lacks.items() if column is not None}


def say_beside(path: Path, parts: Collection[str], unread: Mapping[str, str]) -> None:
    """Warn of files beside that are not read, or else of what looks like images to test on where none are known.

    Args:
        parts: Those that are read.
        unread: Why other parts' files are not.
    """
    for part, why in unread.items():
        if file := file_beside(path, part):
            say_not_read(file.name, path.name, why, parts)
    if unread or "test" in parts:
        return
    if path.is_dir():
        say_unread(path, why="it is another folder")
    else:
        say_unread(path, file_beside(path, "val"))
