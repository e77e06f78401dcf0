"""From what a user typed to datasets: ``name``, ``name@ratio``, ``family:member@ratio``."""

from __future__ import annotations

import csv
import inspect
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ltbench.data.base import Dataset
from ltbench.data.class_names import numbered, told_names
from ltbench.errors import MissingData, UserError
from ltbench.registry.discovery import Registry, load_registry
from ltbench.system.settings import data_root
from ltbench.terms.task import parse_ratio

_NUMBER = re.compile(r"-?\d+(\.\d+)?(e\d+)?")


def split_datasets(text: str) -> list[str]:
    """Cut what was typed at its commas; double quotes around one of the parts keep the commas of its path.

    Args:
        text: For example ``cifar100-lt@50,"folder:photos, mine"``.
    """
    try:
        parts = [part.strip() for part in next(csv.reader([text], skipinitialspace=True, strict=True))]
    except (csv.Error, StopIteration) as error:
        raise UserError("--dataset must be names with commas between them (and double quotes around one that holds commas), got "
                        f"{text!r}") from error
    if not all(parts) or not parts:
        raise UserError(f"something is missing beside ',' in {text!r}")
    return parts


def open_dataset(text: str, registry: Registry, ratio: str | float | None = None, *, root: Path | None = None,
                 download: bool = False) -> tuple[Dataset, float | None]:
    """Return a dataset's description and the imbalance ratio that it is asked for; no image is read.

    Args:
        ratio: Typed for every dataset that has none of its own; None for the dataset's default.
        root: The folder of the data, for families whose classes are known once their files are there; None for ``LTBENCH_DATA``.
        download: Whether these may fetch what is missing.

    Raises:
        UserError: If nobody offers the name, the ratio cannot be, or two are typed that differ.
    """
    name, own = _split_ratio(text)
    entry, member = registry.dataset(name)
    asked = [parse_ratio(typed, name) for typed in (own, ratio) if typed is not None]
    if len(set(asked)) > 1:
        raise UserError(f"--imbalance-ratio must agree with {text!r} or be left out, got {ratio}")
    dataset: Dataset = entry.load()() if member is None else _open_member(entry.load(), member, root, download=download)
    if asked and dataset.max_per_class is None:
        raise UserError(f"dataset {name!r} is long-tailed as it is and takes no ratio, got {asked[0]:g}")
    return dataset, asked[0] if asked else entry.spec.default_ratio


def class_names(text: str) -> tuple[str, ...]:
    """Return the class names of a dataset of any installed plugin, in the order of its labels, as methods are told them.

    Where all that a dataset says of a class is its number (``class 17``), the folders of its images say more, if they are there.

    Args:
        text: As typed after ``--dataset``.
    """
    dataset, _ = open_dataset(text, load_registry(strict=False))
    train = None
    if numbered(dataset.class_names) and dataset.resized is not None:  # images in memory have no folders
        with suppress(MissingData):
            train = dataset.load(data_root()).train
    return told_names(dataset, train)


def dataset_of_record(name: str, registry: Registry, root: Path | None = None) -> Dataset:
    """Return the description of the dataset that a record names.

    Args:
        root: The folder of the data; None for ``LTBENCH_DATA``.

    Raises:
        UserError: If it is somebody's own, or it is not here and its files alone tell its classes.
    """
    entry, member = registry.dataset(name)
    if member is None:
        dataset: Dataset = entry.load()()
        return dataset
    if entry.spec.source == "local":
        raise UserError(f"{name:.80} is somebody's own images, and no record says where they are")
    return _open_member(entry.load(), member, root, download=False)


def _open_member(make: Callable[..., Dataset], member: str, root: Path | None, *, download: bool) -> Dataset:
    """Open a member of a family; what its callable does not ask for it is not told."""
    asked = inspect.signature(make).parameters
    return make(member, **{name: value for name, value in (("root", data_root(root)), ("download", download)) if name in asked})


def _split_ratio(text: str) -> tuple[str, str | None]:
    """Cut the ratio off; a path, such as a family's member, may hold an @ of its own."""
    if re.match("[^@]*[:/]", text):
        name, _, ratio = text.rpartition("@")
        return (name, ratio) if name and _NUMBER.fullmatch(ratio) else (text, None)
    name, at, ratio = text.partition("@")
    return name, ratio if at else None
