"""The data of one task: the parts of a dataset and the long-tailed split of its training part."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ltbench.data.base import Dataset, Parts
from ltbench.data.longtail import Split, make_split, test_indices
from ltbench.data.published import unread_parts
from ltbench.errors import MissingData, UserError
from ltbench.task import Task


@dataclass(frozen=True, eq=False)
class TaskData:
    """Hold what a run reads.

    Args:
        dataset: Its description.
        parts: Both parts, whole.
        split: Which training images are kept.
        test_indices: Which test images are: all, but for smoke tests; int64, shape (M,).
        labels: Of the kept training images, shape (N,).
    """

    dataset: Dataset
    parts: Parts
    split: Split
    test_indices: Tensor
    labels: Tensor

    @property
    def class_counts(self) -> Tensor:
        """Realized training images of each class, int64, shape (C,)."""
        return torch.tensor(np.asarray(self.split.class_counts), dtype=torch.int64)  # a copy: a method must not reach the split

    @property
    def indices(self) -> Tensor:
        """Kept training images, as positions in the training part, int64, shape (N,)."""
        return torch.tensor(self.split.indices)


def load_task_data(dataset: Dataset, parts: Parts, task: Task, per_class: int | None) -> TaskData:
    """Make a task's split.

    Args:
        dataset: Its description.
        parts: As loaded.
        task: Says ratio, kind of imbalance and split seed.
        per_class: At most this many images a class, in both parts.

    Raises:
        UserError: If the ratio empties a class or asks for more images than there are.
    """
    if task.imbalance_ratio is not None and dataset.max_per_class is None:
        raise UserError(f"dataset {dataset.name!r} takes no imbalance ratio, got {task.imbalance_ratio:g}")
    if task.imbalance_ratio is None and task.imbalance != "exp":
        raise UserError(f"dataset {dataset.name!r} is used as it is: --imbalance {task.imbalance} has no meaning for it")
    split = make_split(parts.train.labels, dataset.num_classes, dataset.max_per_class, task.imbalance_ratio,
                       imbalance=task.imbalance, split_seed=task.split_seed, per_class=per_class)
    kept = torch.as_tensor(split.indices)
    tested = test_indices(parts.test.labels, dataset.num_classes, per_class)
    return TaskData(dataset, parts, split, torch.as_tensor(tested), parts.train.labels[kept])


def load_parts(dataset: Dataset, root: Path | None, *, download: bool, planning: bool = False) -> Parts:
    """Read a dataset and check what it promises.

    Args:
        dataset: Its description.
        root: The folder that the user keeps data in; None if none was given.
        download: Whether the network may be used.
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
    for name, part in (("train", parts.train), ("test", parts.test)):
        if len(part.labels) == 0 or int(part.labels.min()) < 0 or int(part.labels.max()) >= dataset.num_classes:
            raise UserError(f"the {name} part of {dataset.name!r} must have labels from 0 to {dataset.num_classes - 1}")
    return parts
