"""``hf:OWNER/NAME`` and ``hf:PATH``: images as Hugging Face ``datasets`` reads them, from its hub or from files here."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltbench.data.arrays import Ints
from ltbench.data.beside import say_beside
from ltbench.data.encoded import EncodedImages
from ltbench.data.fetched import downloading
from ltbench.data.files import FileImages
from ltbench.data.hub_columns import classes_of, groups_of, image_column, label_column, labels_of, part_told
from ltbench.data.hub_images import HubImages
from ltbench.data.hub_local import lacking, read_local
from ltbench.data.hub_splits import chosen_splits
from ltbench.data.labels import same_numbers
from ltbench.data.listed import LARGE, LARGE_RESIZED
from ltbench.data.member import require_known, split_member
from ltbench.data.own import OwnImages, own_path, safe_name
from ltbench.data.paths import Paths
from ltbench.data.tables import EXTRA
from ltbench.errors import MissingData, UserError, brief

_HUB = re.compile(r"[\w.-]+/[\w.-]+")
_OPTIONS = ("config", "image", "label", "group", "train", "test", "val")
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
            found = (read_local(datasets, path, options.get("config")) if local else
                     datasets.load_dataset(member, options.get("config")))
        except UserError:
            raise
        except Exception as error:  # the library has no error of its own for what its many readers raise
            if local or download:
                raise UserError(f"{name} cannot be {'read' if local else 'downloaded'} ({brief(error)})") from error
            raise MissingData(f"{name} is not in the cache of the library datasets: add --download ({brief(error)})") from error
    splits = {"train": found} if isinstance(found, datasets.Dataset) else dict(found)
    parts = chosen_splits(name, splits, options)
    features = parts["train"].features
    image = image_column(name, datasets, features, options.get("image"))
    label = label_column(name, datasets, features, options.get("label"))
    known = (image, label, options.get("group"))
    if told := part_told(datasets, parts["train"], known):
        wrong = f"{name} must have its parts as splits, got a column {told!r} that looks like parts in what is trained on"
        if local:
            raise UserError(f"{wrong}: write a file for each part, or leave the column out")
        print(f"warning: {wrong}: it is used as its authors made it", file=sys.stderr)
    if local:
        beside = {part: rows for part, rows in parts.items() if part not in ("train", *options)} if path.is_file() else {}
        unused = lacking(beside, image, label)
        parts = {part: rows for part, rows in parts.items() if part not in unused}
        say_beside(path, parts, unused)
    return _open(name, datasets, parts, known, path if local else None)


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


def _open(name: str, datasets: Any, parts: Mapping[str, Any], columns: tuple[str, str, str | None],
          folder: Path | None) -> OwnImages:
    image, label, group = columns
    for column in filter(None, (image, label, group)):
        for part, rows in parts.items():
            if column not in rows.features:
                raise UserError(f"the {part} part of {name} must have a column {column!r}, got {', '.join(rows.features)}")
    labels = {part: labels_of(name, part, rows, label) for part, rows in parts.items()}
    names = getattr(parts["train"].features[label], "names", None)
    if names is None:
        trained = set(labels["train"])
        labels = {part: same_numbers(held, trained) for part, held in labels.items()}
    classes = classes_of(name, names, labels["train"])
    groups = {} if group is None else groups_of(name, parts, group, official=folder is None)
    sources: dict[str, EncodedImages] = {}
    for part, rows in parts.items():
        for row, one in enumerate(labels[part]):
            if one not in classes:
                raise UserError(f"row {row} of the {part} part of {name} must be of a class that is trained on, got {one!r}")
        numbers = torch.tensor([classes[one] for one in labels[part]], dtype=torch.int64)
        column = rows.select_columns([image]).cast_column(image, datasets.Image(decode=False)).with_format("arrow")
        sources[part] = _source(name, part, column, numbers, groups.get(part), folder)
    test = sources.get("test") or sources.pop("val", None)
    return OwnImages(name, tuple(classes), sources["train"], test, sources.get("val"), official=folder is None)


def _source(name: str, part: str, rows: Any, labels: torch.Tensor, groups: Ints | None, folder: Path | None) -> EncodedImages:
    sizes, files = _look(rows)
    if len(files) and (sizes < 0).all() and all(files):  # nothing but paths of files
        if any("\0" in file for file in files):
            raise UserError(f"the {part} part of {name} must name files without null characters")
        root = folder if folder is not None else Path(os.path.commonpath([os.path.dirname(file) for file in files]))
        names = Paths(root, (os.fsencode(os.path.relpath(file, root)) for file in files))
        return FileImages(names, labels, LARGE, LARGE_RESIZED, groups=groups)
    # In UTF-8, as the table is, whatever the locale's own encoding.
    names = Paths(folder or Path(name), ((f"{part}/{row:07d}" + (f"-{os.path.basename(file)}" if file else "")).encode()
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
