"""What a record says of its images, against the dataset where it is present."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ltbench.data.base import Dataset
from ltbench.data.held_out import holding_out
from ltbench.data.naming import dataset_of_record
from ltbench.data.parts import Parts
from ltbench.data.task_data import TaskData, load_parts, load_task_data
from ltbench.errors import UserError
from ltbench.registry.discovery import Registry
from ltbench.results.class_names import class_names
from ltbench.results.schema import Record
from ltbench.terms.task import Task
from ltbench.trust.remark import Remark, error, note

if TYPE_CHECKING:
    from ltbench.results.predictions import Predictions


class Ground:
    """Hold the datasets that records are checked against, each read once."""

    def __init__(self, registry: Registry, data_root: Path | None) -> None:
        self._registry = registry
        self.root = data_root
        self._parts = functools.cache(self._load)
        self._splits = functools.lru_cache(maxsize=16)(self._split)

    def find(self, record: Record) -> tuple[TaskData | None, list[Remark]]:
        """Return the data of a record's task; None, and what is wrong, where it cannot be had."""
        name = record.task.dataset
        if record.split.unreadable:
            return None, [note("split", "not rebuilt: images that could not be read were left out, and here they may be whole")]
        try:
            self._parts(name)
        except UserError as problem:
            return None, [note("split", f"not rebuilt: {problem}")]
        except Exception as problem:  # a plugin of a stranger
            return None, [note("split", f"not rebuilt: {name} cannot be read ({type(problem).__name__})")]
        try:
            stated, known = record.task.as_dict(), {field.name for field in dataclasses.fields(Task)}
            # Records that differ in their seed alone share their data.
            named = {name: value for name, value in stated.items() if name in known} | {"seed": 0}
            return self._splits(Task(**named), record.protocol.per_class, _holds_out(record)), []
        except UserError as problem:
            return None, [error("task", str(problem))]
        except Exception as problem:  # values that no run could have had
            return None, [error("task", f"must be one that {name} can be split for ({type(problem).__name__})")]

    def _load(self, name: str) -> tuple[Dataset, Parts]:
        dataset = dataset_of_record(name, self._registry, self.root)
        return dataset, load_parts(dataset, self.root, download=False)

    def _split(self, task: Task, per_class: int | None, holds_out: bool) -> TaskData:
        data = load_task_data(*self._parts(task.dataset), task, per_class)
        return holding_out(data, task.split_seed, per_class) if holds_out else data


def _holds_out(record: Record) -> bool:
    return record.protocol.as_dict().get("hold_out") is True


def check_split(record: Record, data: TaskData) -> Iterator[Remark]:
    """Yield where the split that a record names is not the one that its task makes."""
    split = record.split
    tested = np.bincount(data.parts.test.labels[data.test_indices].numpy(), minlength=data.dataset.num_classes).tolist()
    for name, stated, counts in (("class_counts", split.class_counts, data.class_counts.tolist()),
                                 ("test_counts", split.test_counts, tested)):
        if len(stated) != len(counts):
            yield error(f"split.{name}", f"must be of {len(counts)} classes, got {len(stated)}")
        elif stated != counts:
            k = next(k for k, (recorded, found) in enumerate(zip(stated, counts, strict=True)) if recorded != found)
            yield error(f"split.{name}[{k}]", f"must be {counts[k]} as the dataset has it, got {stated[k]}")
    yield from _names(split.class_names, class_names(data.dataset, data.parts.train))
    seen = None if data.held_out is None else data.held_out.class_counts.tolist()
    if split.held_out != seen:
        yield error("split.held_out", f"must be {seen} as the dataset has it, got {split.held_out}")
    if split.hash != data.split.hash:
        yield error("split.hash", f"must be {data.split.hash[:12]}... as the dataset's split has it, got {split.hash:.12}...")


def _names(stated: list[str] | None, expected: list[str] | None) -> Iterator[Remark]:
    """Compare what classes are called; older records do not say it, and not every copy of a set has folders that do."""
    for k, (recorded, found) in enumerate(zip(stated or (), expected or (), strict=False)):
        if recorded != found:
            yield error(f"split.class_names[{k}]", f"must be {found!r:.60} as the dataset has it, got {recorded!r:.60}")
            return


def check_images(predictions: Predictions, data: TaskData) -> Iterator[Remark]:
    """Yield which test images have no prediction, which predictions have no test image, and labels that are not the dataset's."""
    expected = data.test_indices.numpy()  # (M,)
    for what, ids in (("test images have no prediction", np.setdiff1d(expected, predictions.ids)),
                      ("predictions are of no test image", np.setdiff1d(predictions.ids, expected))):
        if len(ids):
            yield error("predictions.ids", f"{len(ids)} {what}, the first {ids[0]}")
    known = np.isin(predictions.ids, expected)
    labels = data.parts.test.labels.numpy()[predictions.ids[known]]
    wrong = np.flatnonzero(labels != predictions.labels[known])
    if len(wrong):
        first = predictions.ids[known][wrong[0]]
        yield error("predictions.labels", f"{len(wrong)} labels are not the dataset's, the first of image {first}")
