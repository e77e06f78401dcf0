"""What ``hf:PATH`` reads: folders and files here, by Hugging Face's library ``datasets``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ltbench.data.beside import file_beside
from ltbench.data.hub_splits import require_told_apart
from ltbench.data.tables import COLUMNS
from ltbench.errors import UserError, brief
from ltbench.system.settings import cache_root

_FORMS = {".parquet": "parquet", ".arrow": "arrow", ".csv": "csv", ".json": "json", ".jsonl": "json", ".tar": "webdataset"}
_SAVED = ("dataset_dict.json", "state.json")  # of save_to_disk


def read_local(datasets: Any, path: Path, config: str | None) -> Any:
    """Return what the library makes of a folder, or of a file with those of the other parts beside it.

    Raises:
        UserError: If the file is of no form that the library reads, one beside cannot be read, or the library takes for
            training what is not.
        Exception: What the library raises.
    """
    cache = str(cache_root() / "data" / "hf")
    if path.is_dir() and any((path / file).is_file() for file in _SAVED):
        return datasets.load_from_disk(str(path))
    if path.is_dir():
        builder = datasets.load_dataset_builder(str(path), config, cache_dir=cache)
        require_told_apart(path, builder.config.data_files or {})
        builder.download_and_prepare()
        return builder.as_dataset()
    if path.suffix.lower() not in _FORMS:
        raise UserError(f"hf: must be followed by a folder or a file that ends with {', '.join(_FORMS)}, got {path.name!r}")
    beside = {part: file_beside(path, part) for part in ("test", "val")}
    splits = {}
    for part, file in {"train": path, **beside}.items():
        if file is None:
            continue
        try:  # each by itself, for the library refuses files of which one has a column more
            splits[part] = datasets.load_dataset(_FORMS[path.suffix.lower()], data_files={part: str(file)}, cache_dir=cache)[part]
        except Exception as error:  # the library has no error of its own for what its many readers raise
            if part == "train":
                raise
            raise UserError(f"{str(file)!r} cannot be read ({brief(error)})") from error
    return splits


def lacking(parts: Mapping[str, Any], image: str, label: str) -> dict[str, str]:
    """Return why parts cannot be used that have images and no classes, whatever those are called, by the parts' names."""
    called = {label, *COLUMNS["label"]}
    return {part: f"it has no column {label!r}" for part, rows in parts.items()
            if image in rows.features and called.isdisjoint(rows.features)}
