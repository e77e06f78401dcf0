"""``hf:OWNER/NAME`` and ``hf:PATH``: images as Hugging Face ``datasets`` reads them, from its hub or from files here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltbench.data.arrays import Ints
from ltbench.data.encoded import EncodedImages
from ltbench.data.fetched import downloading
from ltbench.data.files import FileImages
from ltbench.data.hub_images import HubImages
from ltbench.data.labels import class_numbers
from ltbench.data.listed import LARGE, LARGE_RESIZED
from ltbench.data.member import require_known, split_member
from ltbench.data.own import ROLES, OwnImages, own_path, safe_name
from ltbench.data.own_tables import COLUMNS, EXTRA
from ltbench.data.paths import Paths
from ltbench.errors import MissingData, UserError, brief
from ltbench.system.settings import cache_root

_HUB = re.compile(r"[\w.-]+/[\w.-]+")
_OPTIONS = ("config", "image", "label", "group", "train", "test", "val")
_FORMS = {".parquet": "parquet", ".arrow": "arrow", ".csv": "csv", ".json": "json", ".jsonl": "json", ".tar": "webdataset"}
_SAVED = ("dataset_dict.json", "state.json")  # of save_to_disk
_ROWS = 4096  # looked at together


def open_hub(typed: str, *, download: bool = False) -> OwnImages:
    """Read a set of images by the library ``datasets``; its tables stay on the disk.

    Args:
        typed: Where it is, perhaps with options: which configuration, columns and splits are meant.
        download: Whether the network may be used for what is not in the library's cache.

    Raises:
        MissingData: If a set of the hub is not in the cache and may not be fetched.
        UserError: If it cannot be read, is not of images and classes, or a class cannot be trained or tested on.
    """
    member, options = split_member(typed)
    if not member:
        raise UserError("hf: must be followed by OWNER/NAME of the hub or by a path, got nothing")
    require_known(options, _OPTIONS, f"hf:{member}")
    path = own_path(member, "hf:")
    local = path.exists()
    if not local and not _HUB.fullmatch(member):
        raise UserError(f"hf: must be followed by OWNER/NAME of the hub or by a path that exists, got {member!r}")
    try:
        import datasets
    except ImportError:
        raise UserError(f"hf: needs the library datasets: {EXTRA}") from None
    written = ",".join(f"{key}={options[key]}" for key in sorted(options))
    name = f"hf:{safe_name(path.stem)}" if local else f"hf:{member}({written})" if written else f"hf:{member}"
    with downloading(f"hf-{safe_name(member)}", None) if download and not local else nullcontext(), \
            _quiet(datasets, offline=local or not download):
        try:
            found = _local(datasets, path, options.get("config")) if local else \
                datasets.load_dataset(member, options.get("config"))
        except Exception as error:  # the library has no error of its own for what its many readers raise
            if local or download:
                raise UserError(f"{name} cannot be {'read' if local else 'downloaded'} ({brief(error)})") from error
            raise MissingData(f"{name} is not in the cache of the library datasets: add --download ({brief(error)})") from error
    splits = {"train": found} if isinstance(found, datasets.Dataset) else dict(found)
    return _open(name, datasets, _chosen(name, splits, options), options, path if local else None)


@contextmanager
def _quiet(datasets: Any, *, offline: bool) -> Iterator[None]:
    """Let the library say nothing, and use no network where that is not wanted: by its own switches, set back afterwards."""
    from huggingface_hub import constants

    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE, datasets.logging.get_verbosity()
    bars = datasets.are_progress_bars_disabled()
    try:
        if offline:
            datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
            datasets.disable_progress_bars()
        datasets.logging.set_verbosity_error()
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before[:2]
        datasets.logging.set_verbosity(before[2])
        if not bars:
            datasets.enable_progress_bars()


def _local(datasets: Any, path: Path, config: str | None) -> Any:
    cache = str(cache_root() / "data" / "hf")
    if path.is_dir():
        if any((path / file).is_file() for file in _SAVED):
            return datasets.load_from_disk(str(path))
        return datasets.load_dataset(str(path), config, cache_dir=cache)
    if path.suffix.lower() not in _FORMS:
        raise UserError(f"a file must end with {', '.join(_FORMS)}, got {path.name!r}")
    return datasets.load_dataset(_FORMS[path.suffix.lower()], data_files=str(path), cache_dir=cache)


def _chosen(name: str, splits: Mapping[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
    """Return the splits by their roles."""
    found: dict[str, Any] = {}
    for role in ("train", "test", "val"):
        asked = options.get(role)
        if asked is not None and asked not in splits:
            raise UserError(f"{name} must have the split {asked!r}, got {', '.join(splits)}")
        named = [split for split in splits if ROLES.get(split.lower()) == role and split not in options.values()]
        if asked is not None or named:
            found[role] = splits[asked or named[0]]
    if "train" not in found and len(splits) == 1:
        return {"train": next(iter(splits.values()))}
    if "train" not in found:
        raise UserError(f"{name} must say which split is trained on, hf:...(train=SPLIT), got {', '.join(splits)}")
    return found


def _open(name: str, datasets: Any, parts: Mapping[str, Any], options: Mapping[str, str], folder: Path | None) -> OwnImages:
    features = parts["train"].features
    image = _image_column(name, datasets, features, options.get("image"))
    label = _label_column(name, datasets, features, options.get("label"))
    group = options.get("group")
    for column in filter(None, (image, label, group)):
        for part, rows in parts.items():
            if column not in rows.features:
                raise UserError(f"the {part} part of {name} must have a column {column!r}, got {', '.join(rows.features)}")
    labels = {part: _labels(name, part, rows, label) for part, rows in parts.items()}
    classes = _classes(name, getattr(features[label], "names", None), labels["train"])
    sources: dict[str, EncodedImages] = {}
    for part, rows in parts.items():
        for row, one in enumerate(labels[part]):
            if one not in classes:
                raise UserError(f"row {row} of the {part} part of {name} must be of a class that is trained on, got {one!r}")
        numbers = torch.tensor([classes[one] for one in labels[part]], dtype=torch.int64)
        groups = None if group is None else np.unique(list(map(str, rows[group][:])), return_inverse=True)[1].astype(np.int64)
        column = rows.select_columns([image]).cast_column(image, datasets.Image(decode=False)).with_format("arrow")
        sources[part] = _source(name, part, column, numbers, groups, folder)
    test = sources.get("test") or sources.pop("val", None)
    return OwnImages(name, tuple(classes), sources["train"], test, sources.get("val"), official=folder is None)


def _image_column(name: str, datasets: Any, features: Mapping[str, Any], asked: str | None) -> str:
    found = [column for column, kind in features.items() if isinstance(kind, datasets.Image)
             or isinstance(kind, dict) and kind.keys() == {"bytes", "path"}]
    if asked in found or asked is None and len(found) == 1:
        return asked or found[0]
    raise UserError(f"{name} must have one column of images, or say which: hf:...(image=COLUMN), got "
                    f"{', '.join(found or features)}")


def _label_column(name: str, datasets: Any, features: Mapping[str, Any], asked: str | None) -> str:
    fitting = [column for column, kind in features.items() if isinstance(kind, (datasets.ClassLabel, datasets.Value))]
    found = [column for column in fitting if isinstance(features[column], datasets.ClassLabel)]
    usual = [column for column in COLUMNS["label"] if column in fitting]
    if asked in fitting or asked is None and (len(found) == 1 or usual):
        return asked or (found if len(found) == 1 else usual)[0]
    raise UserError(f"{name} must have one column of classes, or say which: hf:...(label=COLUMN), got "
                    f"{', '.join(found or features)}")


def _labels(name: str, part: str, rows: Any, column: str) -> list[str]:
    """Return the class of each row as text, its name where the column has names."""
    names = getattr(rows.features[column], "names", None)
    found = []
    for row, value in enumerate(rows[column][:]):
        if value is None or value == "" or isinstance(value, (list, dict, float)) or names and not 0 <= value < len(names):
            raise UserError(f"row {row} of the {part} part of {name} must have a class in {column!r}, got {value!r:.40}; another "
                            "column or split is named by hf:...(label=COLUMN,test=SPLIT)")
        found.append(names[value] if names else str(value))
    return found


def _classes(name: str, names: Sequence[str] | None, labels: Sequence[str]) -> dict[str, int]:
    """Return the numbers of the classes that have training images: in the column's own order, where it has one."""
    if names is None:
        return class_numbers(name, set(labels))
    held = set(labels)
    return {one: k for k, one in enumerate(one for one in names if one in held)}


def _source(name: str, part: str, rows: Any, labels: torch.Tensor, groups: Ints | None, folder: Path | None) -> EncodedImages:
    sizes, files = _look(rows)
    if len(files) and (sizes < 0).all() and all(files):  # nothing but paths of files
        root = folder if folder is not None else Path(os.path.commonpath([os.path.dirname(file) for file in files]))
        names = Paths(root, (os.fsencode(os.path.relpath(file, root)) for file in files))
        return FileImages(names, labels, LARGE, LARGE_RESIZED, groups=groups)
    names = Paths(folder or Path(name), (os.fsencode(f"{part}/{row:07d}" + (f"-{os.path.basename(file)}" if file else ""))
                                         for row, file in enumerate(files)))
    return HubImages(names, labels, LARGE, LARGE_RESIZED, rows, np.arange(len(files)), sizes, groups=groups)


def _look(rows: Any) -> tuple[Ints, list[str]]:
    """Return how many bytes each row's image has, -1 where it has none, and what the row calls its file; no image is read."""
    import pyarrow.compute as pc

    sizes, files = [np.empty(0, np.int64)], []
    for table in rows.iter(_ROWS):
        for chunk in table.column(0).chunks:
            sizes.append(pc.fill_null(pc.binary_length(pc.struct_field(chunk, "bytes")), -1).to_numpy(zero_copy_only=False))
            files += [file or "" for file in pc.struct_field(chunk, "path").to_pylist()]
    return np.concatenate(sizes).astype(np.int64), files
