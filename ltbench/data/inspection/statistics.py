"""How the training images of a task spread over its classes, after the long-tailed construction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ltbench.data.arrays import Ints
from ltbench.data.base import Dataset
from ltbench.data.inspection.counts import gini
from ltbench.data.published import Totals
from ltbench.data.task_data import load_parts, load_task_data
from ltbench.terms.shots import USUAL, Splits
from ltbench.terms.task import Task


@dataclass(frozen=True, eq=False)
class Spread:
    """Hold the realized class counts of a task.

    Args:
        train: Training images of each class, int64, shape (C,).
        test: Test images of each class, int64, shape (C,).
        splits: Where many, medium and few part.
    """

    task: Task
    class_names: tuple[str, ...]
    train: Ints
    test: Ints
    split_hash: str
    splits: Splits = USUAL

    @property
    def totals(self) -> Totals:
        """Of the training images."""
        return Totals.of(self.train, self.splits)

    @property
    def ratio(self) -> float:
        """The realized one: largest class over smallest."""
        return self.totals.largest / self.totals.smallest

    @property
    def gini(self) -> float:
        """See ``ltbench.data.inspection.counts.GINI``."""
        return gini(self.train)


def spread(dataset: Dataset, ratio: float | None, root: Path | None, *, imbalance: Literal["exp", "step"],
           split_seed: int, splits: Splits = USUAL) -> Spread:
    """Draw the split of a task and count.

    Args:
        ratio: Largest class over smallest; None for a set that is used as it is.
        splits: Where many, medium and few part.
    """
    task = Task(dataset.name, ratio, imbalance, split_seed)
    data = load_task_data(dataset, load_parts(dataset, root, download=False), task, per_class=None)
    tested = data.parts.test.labels.bincount(minlength=dataset.num_classes).numpy()
    return Spread(task, data.class_names, data.split.class_counts, tested, data.split.hash, splits)
