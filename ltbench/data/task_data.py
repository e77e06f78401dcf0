"""The data of one task: the parts of a dataset and the long-tailed split of its training part."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ltbench.data.base import Dataset
from ltbench.data.class_names import told_names
from ltbench.data.encoded import EncodedImages
from ltbench.data.files import FileImages
from ltbench.data.longtail import Split, make_split, test_indices
from ltbench.data.parts import Fingerprinted, ImageSource, Parts, TensorImages
from ltbench.data.published import unread_parts
from ltbench.data.stream import Decoder
from ltbench.errors import MissingData, UserError
from ltbench.system.settings import data_workers
from ltbench.terms.task import Task


@dataclass(frozen=True, eq=False)
class TaskData:
    """Hold what a run reads.

    Args:
        labels: Of the kept training images, shape (N,).
        test_indices: Which test images are kept: all, but for smoke tests; int64, shape (M,).
        fingerprint: Digest of which images the parts hold, where lists say so; None where the dataset's name does.
        unreadable: How many images of each part were left out, and the sha256 of their names; None where none was.
        held_out: Images that are looked at while these are trained on, in their place; None where none are.
    """

    dataset: Dataset
    parts: Parts
    split: Split
    test_indices: Tensor
    labels: Tensor
    fingerprint: str | None = None
    unreadable: Mapping[str, int | str] | None = None
    held_out: TaskData | None = None

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """C of them, as far as the dataset, the folders of its images and WordNet say; else as the dataset has them."""
        return told_names(self.dataset, self.parts.train)

    @property
    def class_counts(self) -> Tensor:
        """Realized training images of each class, int64, shape (C,)."""
        return torch.tensor(np.asarray(self.split.class_counts), dtype=torch.int64)  # a copy: a method must not reach the split

    @property
    def indices(self) -> Tensor:
        """Kept training images, as positions in the training part, int64, shape (N,)."""
        return torch.tensor(self.split.indices)

    @property
    def folders(self) -> list[Path]:
        """Where image files lie, for messages to leave it out."""
        return [part.paths.folder for part in (self.parts.train, self.parts.test) if isinstance(part, EncodedImages)]


def load_task_data(dataset: Dataset, parts: Parts, task: Task, per_class: int | None) -> TaskData:
    """Make a task's split.

    Args:
        per_class: At most this many images a class, in both parts.
    """
    if task.imbalance_ratio is not None and dataset.max_per_class is None:
        raise UserError(f"dataset {dataset.name!r} takes no imbalance ratio, got {task.imbalance_ratio:g}")
    if task.imbalance_ratio is None and task.imbalance != "exp":
        raise UserError(f"dataset {dataset.name!r} is used as it is: --imbalance {task.imbalance} has no meaning for it")
    try:
        split = make_split(parts.train.labels, dataset.num_classes, dataset.max_per_class, task.imbalance_ratio,
                           imbalance=task.imbalance, split_seed=task.split_seed, per_class=per_class)
    except UserError as error:
        raise UserError(f"{task}: {error}") from error
    kept = torch.as_tensor(split.indices)
    tested = test_indices(parts.test.labels, dataset.num_classes, per_class)
    fingerprint = _fingerprint(parts)
    if fingerprint is not None:  # positions alone do not say which images they are
        split = replace(split, hash=hashlib.sha256(f"{split.hash} {fingerprint}".encode()).hexdigest())
    return TaskData(dataset, parts, split, torch.as_tensor(tested), parts.train.labels[kept], fingerprint)


def _as_seen(part: ImageSource, dataset: Dataset) -> ImageSource:
    """Return a part whose images come as a dataset's description says."""
    if isinstance(part, TensorImages):
        return part.in_channels(dataset.channels)
    if isinstance(part, EncodedImages):
        return replace(part, interpolation=dataset.interpolation, crop_mode=dataset.crop_mode)
    return part


def _fingerprint(parts: Parts) -> str | None:
    """Join those of both parts: methods measure figures on the test part while they train, and a stage keeps them."""
    named = [part.fingerprint if isinstance(part, Fingerprinted) else "" for part in (parts.train, parts.test)]
    return hashlib.sha256(" ".join(named).encode()).hexdigest() if any(named) else None


def check_files(parts: Parts, *, planning: bool) -> None:
    """Check before a training what decoding needs: the number of workers, and the first and the last file of each part.

    Args:
        planning: Whether no image will be opened.

    Raises:
        UserError: If ``LTBENCH_WORKERS`` holds no number, or a file that is looked for is not there.
    """
    for part in (parts.train, parts.test):
        if isinstance(part, Decoder):
            data_workers()
        if isinstance(part, FileImages) and not planning:
            part.require_ends()


def load_parts(dataset: Dataset, root: Path | None, *, download: bool, planning: bool = False) -> Parts:
    """Read a dataset and check what it promises.

    Args:
        planning: Whether labels alone will do: where the data is not there, published class counts stand for it.

    Raises:
        UserError: If the data cannot be had, or a label is out of range.
    """
    try:
        parts = dataset.load(root, download=download)
    except MissingData:
        if not planning or dataset.published is None:
            raise
        print(f"{dataset.name}: data not found: class counts as published", file=sys.stderr)
        parts = unread_parts(dataset.name, dataset.published)
    except OSError as error:  # such as a folder that may not be entered
        raise UserError(f"{dataset.name} cannot be read: {str(error.filename)!r}: {error.strerror}" if error.filename else
                        f"{dataset.name} cannot be read: {error}") from error
    train, test, val = (None if part is None else _as_seen(part, dataset) for part in (parts.train, parts.test, parts.val))
    assert train is not None and test is not None
    parts = replace(parts, train=train, test=test, val=val)
    for name, part in (("train", parts.train), ("test", parts.test)):
        if len(part.labels) == 0 or int(part.labels.min()) < 0 or int(part.labels.max()) >= dataset.num_classes:
            raise UserError(f"the {name} part of {dataset.name!r} must have labels from 0 to {dataset.num_classes - 1}")
    return parts
