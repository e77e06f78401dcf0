"""Experiment trackers, by way of Accelerate's: an observer like any other, so that nothing of it reaches a record."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ltbench.errors import UserError
from ltbench.registry.hookspecs import hookimpl
from ltbench.registry.run_info import RunInfo
from ltbench.results.schema import Record

NAME = "ltbench:tracking"  # of the observer
_PROJECT = "ltbench"
_LOGGED = "logged.json"
_MEND = {"tensorboard": "pip install 'ltbench[track]'", "wandb": "pip install wandb"}


def require(tracker: str) -> None:
    """Refuse a tracker that is not there."""
    if importlib.util.find_spec(tracker) is None:
        raise UserError(f"--track-with {tracker} needs {tracker}: {_MEND[tracker]}")


class Tracking:
    """Log each run as one run of a tracker: the curve by stage, the settings, what came out.

    What was logged is noted beside it, so that a run that goes on after a kill goes on there too, and says nothing twice. A
    process logs one run at a time: wandb has one current run in each.
    """

    def __init__(self, tracker: str, folder: Path) -> None:
        self._kind = tracker
        self._folder = folder
        self._note = folder
        self._logged: dict[str, int] = {}
        self._tracker: Any = None
        self._run: str | None = None  # by name

    @hookimpl
    def ltbench_run_start(self, run: RunInfo) -> None:
        """Begin a tracker's run, or go on with it."""
        place = self._folder / run.name
        place.mkdir(parents=True, exist_ok=True)
        self._note = place / _LOGGED
        self._logged = json.loads(self._note.read_text()) if self._note.is_file() else {}
        self._tracker = _open(self._kind, run, self._folder)
        self._run = run.name

    @hookimpl
    def ltbench_epoch_end(self, stage: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log an epoch."""
        if epoch == 1:  # trained anew, whatever was logged before
            self._logged.pop(str(stage), None)
        self._log_epoch(stage, epoch, metrics)

    @hookimpl
    def ltbench_stage_end(self, stage: int, curve: Sequence[Mapping[str, Any]]) -> None:
        """Log the epochs of a stage that was found finished."""
        for row in curve:
            self._log_epoch(stage, row["epoch"], {name: value for name, value in row.items() if isinstance(value, float)})

    @hookimpl
    def ltbench_run_end(self, run: RunInfo, record: Record) -> None:
        """Log the settings and what came out, and end the tracker's run."""
        if self._run != run.name:  # it began in a process that is gone
            self.ltbench_run_start(run)
        settings = dict(_settings(record))
        if self._kind == "tensorboard":  # whose store_init_configuration makes a second run beside this one
            lines = [f"| {name} | {value} |" for name, value in settings.items()]
            self._tracker.log({"settings": "\n".join(["| setting | value |", "| --- | --- |", *lines])}, step=0)
        else:
            self._tracker.store_init_configuration(settings)
        reason = f": {record.reason}" if record.reason else ""
        self._tracker.log({"status": f"{record.status}{reason}", **dict(_results(record))}, step=self._step(0))
        self._tracker.finish()
        self._run = None

    def _log_epoch(self, stage: int, epoch: int, figures: Mapping[str, float]) -> None:
        if epoch <= self._logged.get(str(stage), -1):
            return
        named = {f"stage{stage}/{name}": value for name, value in figures.items()}
        self._tracker.log({**named, f"stage{stage}/epoch": epoch}, step=self._step(epoch))
        self._logged[str(stage)] = epoch
        self._note.write_text(json.dumps(self._logged))

    def _step(self, step: int) -> int | None:
        """Return a step where each figure has its own; wandb has one for all, which must never go back, and counts it itself."""
        return step if self._kind == "tensorboard" else None


def _open(kind: str, run: RunInfo, folder: Path) -> Any:
    from accelerate.tracking import TensorBoardTracker, WandBTracker

    tracker: Any
    if kind == "tensorboard":
        tracker = TensorBoardTracker(run.name, logging_dir=folder)
    else:
        identity = hashlib.sha256(run.name.encode()).hexdigest()[:16]
        tracker = WandBTracker(_PROJECT, name=run.name, group=run.expression, id=identity, resume="allow", dir=str(folder))
    getattr(tracker, "start", lambda: None)()  # in its earlier releases, constructing it starts it
    return tracker


def _settings(record: Record) -> Iterator[tuple[str, Any]]:
    yield from (("expression", record.expression), ("track", record.track), ("precision", record.precision))
    yield from record.task.as_dict().items()
    yield from ((f"protocol.{name}", value) for name, value in record.protocol.as_dict().items())
    for number, stage in enumerate(record.stages, start=1):
        for method in stage.methods:
            for name, value in method.hyperparameters.items():
                yield f"stage{number}.{method.name}.{name}", value


def _results(record: Record) -> Iterator[tuple[str, float]]:
    if record.metrics is None:
        return
    accuracy = {f"accuracy_{split}": value for split, value in record.metrics.accuracy.as_dict().items()}
    figures = {**accuracy, **record.metrics.as_dict()}
    yield from ((f"test/{name}", value) for name, value in figures.items() if isinstance(value, (int, float)))
