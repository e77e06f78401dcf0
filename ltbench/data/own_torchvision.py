"""``tv:NAME``: torchvision's classification sets by the names of their classes: ``tv:Food101``, ``tv:EMNIST(split=letters)``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltbench.data.base import Dataset
from ltbench.data.fetched import downloading
from ltbench.data.files import FileImages
from ltbench.data.member import split_member
from ltbench.data.own import OwnImages, own_files
from ltbench.data.own_arrays import OwnArrays, ToldTensors
from ltbench.data.paths import Paths
from ltbench.data.torchvision_sets import Reader
from ltbench.errors import MissingData, UserError
from ltbench.system.settings import cache_root

_Pairs = Iterable[tuple[Any, Any]]  # an image's file, and its label


def _caltech101(data: Any) -> _Pairs:
    folder = os.path.join(data.root, "101_ObjectCategories")
    return ((os.path.join(folder, data.categories[y], f"image_{number:04d}.jpg"), y)
            for number, y in zip(data.index, data.y, strict=True))


def _caltech256(data: Any) -> _Pairs:
    folder = os.path.join(data.root, "256_ObjectCategories")
    return ((os.path.join(folder, data.categories[y], f"{y + 1:03d}_{number:04d}.jpg"), y)
            for number, y in zip(data.index, data.y, strict=True))


# Sets in files whose classes take no loader.
_FILES: dict[str, Callable[[Any], _Pairs]] = {
    "Caltech101": _caltech101, "Caltech256": _caltech256, "GTSRB": lambda data: data._samples,
    "OxfordIIITPet": lambda data: zip(data._images, data._labels, strict=True),
}


def open_torchvision(typed: str, *, root: Path | None = None, download: bool = False) -> Dataset:
    """Read a set from where torchvision puts it.

    Args:
        typed: Name of a class of ``torchvision.datasets``, perhaps with options.
        root: The folder of the data; None for ltbench's cache.
        download: Whether what is missing may be fetched.

    Raises:
        MissingData: If it is not there and may not be fetched.
        UserError: If there is no such set, or it cannot be read or fetched.
    """
    member, options = split_member(typed)
    if not member:
        raise UserError("tv: must be followed by the name of a class of torchvision.datasets, got nothing")
    reader = Reader(member, options)
    where = Path(os.path.abspath(cache_root() / "data" if root is None else root))
    found = _found(reader, where, download=download)
    written = ",".join(f"{key}={options[key]}" for key in sorted(options))
    name = f"tv:{member}({written})" if written else f"tv:{member}"
    try:
        return (_in_files if reader.in_files or member in _FILES else _in_memory)(name, reader, found, where)
    except (AttributeError, IndexError, KeyError, TypeError) as error:  # of a torchvision that keeps its sets in another way
        raise UserError(f"{name} cannot be read with this torchvision ({type(error).__name__}: {error})") from error


def _found(reader: Reader, where: Path, *, download: bool) -> dict[str, Any]:
    try:
        return reader.read(where)
    except MissingData:
        if not download:
            raise
    with downloading(f"tv-{reader.name}", where):
        try:
            return reader.read(where)  # which another process may have fetched meanwhile
        except MissingData:
            reader.fetch(where)
    return reader.read(where)


def _in_files(name: str, reader: Reader, found: dict[str, Any], where: Path) -> OwnImages:
    pairs = {part: list(_FILES[reader.name](data) if reader.name in _FILES else (data[row] for row in range(len(data))))
             for part, data in found.items()}
    numbers, class_names = _classes(name, found["train"], [label for _, label in pairs["train"]])

    def source(part: str) -> FileImages | None:
        if part not in pairs:
            return None
        # Sorted: some classes list files in the order of the file system.
        listed = sorted((os.fsencode(os.path.relpath(file, where)), int(label)) for file, label in pairs[part])
        labels = _numbered(name, part, [label for _, label in listed], numbers)
        return own_files((Paths(where, (file for file, _ in listed)), labels))

    train = source("train")
    assert train is not None
    return OwnImages(name, class_names, train, source("test"), source("val"), official=True)


def _in_memory(name: str, reader: Reader, found: dict[str, Any], where: Path) -> OwnArrays:
    held = {part: _images(name, data) for part, data in found.items()}
    numbers, class_names = _classes(name, found["train"], held["train"][1])
    parts = {part: ToldTensors(pixels, _numbered(name, part, labels, numbers)) for part, (pixels, labels) in held.items()}
    return OwnArrays(name, class_names, parts["train"], parts.get("test"), parts.get("val"), mirrored=reader.set.mirrored)


def _images(name: str, data: Any) -> tuple[torch.Tensor, list[int]]:
    """Return all images of a part, uint8, shape (N, channels, s, s), and their labels."""
    pixels, labels = np.empty((0, 0, 0), np.uint8), []
    for row in range(len(data)):
        image, label = data[row]
        picture = np.asarray(image)
        if not row:
            pixels = np.empty((len(data), *picture.shape), np.uint8)
        if picture.shape != pixels.shape[1:] or picture.shape[0] != picture.shape[1]:
            raise UserError(f"{name} must hold square images of one size, got {picture.shape[:2]} beside {pixels.shape[1:3]}")
        pixels[row] = picture
        labels.append(int(label))
    whole = torch.from_numpy(pixels)
    return (whole[:, None] if whole.dim() == 3 else whole.permute(0, 3, 1, 2)).contiguous(), labels


def _classes(name: str, data: Any, labels: Sequence[Any]) -> tuple[dict[int, int], tuple[str, ...]]:
    """Return the numbers of the labels that occur, which have gaps in some sets, and the names of the classes."""
    numbers = {label: k for k, label in enumerate(sorted(set(map(int, labels))))}
    if not numbers:
        raise UserError(f"{name} must have images to train on, got none")
    given = getattr(data, "classes", None) or getattr(data, "categories", None) or ()
    if len(given) <= max(numbers) or min(numbers) < 0:
        return numbers, tuple(map(str, numbers))
    words = [", ".join(given[label]) if isinstance(given[label], (tuple, list)) else str(given[label]) for label in numbers]
    return numbers, tuple(words if len(set(words)) == len(words) else
                          (f"{word} ({label})" for word, label in zip(words, numbers, strict=True)))


def _numbered(name: str, part: str, labels: Sequence[int], numbers: dict[int, int]) -> torch.Tensor:
    for label in labels:
        if label not in numbers:
            raise UserError(f"the {part} part of {name} must hold no class that the training part lacks, got {label}")
    return torch.tensor([numbers[label] for label in labels], dtype=torch.int64)
