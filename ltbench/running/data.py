"""The data of a matrix of runs, read once for all that share it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from ltbench.data.base import Dataset
from ltbench.data.fetched import downloading
from ltbench.data.held_out import holding_out
from ltbench.data.overlap import refuse_shared, refuse_trained
from ltbench.data.parts import Parts
from ltbench.data.task_data import TaskData, load_parts, load_task_data
from ltbench.data.unreadable import find_unreadable, leave_out, tell
from ltbench.planning.plan import RunPlan
from ltbench.running.phases import Phases
from ltbench.terms.task import Task


class RunData:
    """Read datasets and make the splits of tasks.

    Args:
        datasets: Loaded descriptions by name.
        download: Whether data may be downloaded.
        planning: Whether runs are only planned: published class counts stand for data that is not there.
        looks: Folder that remembers which images cannot be decoded, where such are left out; None where they are not.
    """

    def __init__(self, accelerator: Accelerator, datasets: dict[str, Dataset], *, root: Path | None, download: bool,
                 planning: bool, looks: Path | None) -> None:
        self._accelerator = accelerator
        self.datasets = datasets
        self._root, self._download, self._planning, self._looks = root, download, planning, looks
        self._parts: dict[str, Parts] = {}
        self._tasks: dict[tuple[Task, int | None, bool, bool], TaskData] = {}
        self._reading: dict[str, Phases] = {}

    def of(self, plan: RunPlan, *, validates: bool = False) -> TaskData:
        """Return the data that a plan reads; runs that differ in their seed alone share it.

        Args:
            validates: Whether trials are judged by it. The plan itself says that it holds images out, or what trials chose.

        Raises:
            UserError: If the data cannot be had, or its test part repeats images of another part.
        """
        name, per_class, holds_out = plan.task.dataset, plan.protocol.per_class, plan.protocol.hold_out
        validates = self._looks is not None and (validates or holds_out or plan.tuning is not None)
        key = (replace(plan.task, seed=0), per_class, holds_out, validates)
        if key not in self._tasks:
            with self.reading(name).phase("data"):
                if name not in self._parts:
                    fetches = self._download and self._accelerator.is_main_process  # one process downloads
                    alone = downloading(name, self._root) if fetches else nullcontext()
                    with self._accelerator.main_process_first(), alone:
                        self._parts[name] = load_parts(self.datasets[name], self._root, download=self._download,
                                                       planning=self._planning)
                    refuse_shared(self.datasets[name], self._parts[name], planning=self._planning)
                data = load_task_data(self.datasets[name], self._parts[name], plan.task, per_class)
                data = data if self._looks is None else self._readable(data, self._looks, validates=validates)
                if holds_out:
                    refuse_trained(data.dataset, data.parts, planning=self._planning)
                    data = holding_out(data, plan.task.split_seed, per_class)
                self._tasks[key] = data
        return self._tasks[key]

    def reading(self, name: str) -> Phases:
        """Return how long a dataset took to be read, and how much memory."""
        return self._reading.setdefault(name, Phases(self._accelerator.device))

    def _readable(self, data: TaskData, looks: Path, *, validates: bool) -> TaskData:
        """Leave out what the main process cannot decode: all processes must train on the same images."""
        found: list[dict[str, list[int]]] = [{}]
        if self._accelerator.is_main_process:
            found = [find_unreadable(data, looks, decode=not self._planning, validates=validates)]
            tell(data, found[0])
        broadcast_object_list(found)
        return leave_out(data, found[0])
