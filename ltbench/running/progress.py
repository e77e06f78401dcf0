"""What a user sees of runs, an ordinary observer: a bar each on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ltbench.errors import UserError
from ltbench.registry.hookspecs import hookimpl
from ltbench.registry.run_info import RunInfo
from ltbench.results.schema import Record
from ltbench.results.tested import tell_of
from ltbench.running.duration import duration

LEVELS = ("warning", "info", "debug")
"""What ``LTBENCH_LOG`` may say."""

_LOG = logging.getLogger("ltbench")
_USUAL = ("loss", "train_accuracy", "rate")  # figures of every curve, of which the last is not shown
_EVERY = 10.0  # seconds between two lines about one run; at level debug every epoch has its own


@dataclass
class _Shown:
    """Hold what is shown of a run: of its newest stage, since this process heard of that."""

    bar: Any = None  # tqdm's, on a terminal
    stage: int = 0
    begun: float = 0.0
    skipped: float = 0.0  # epochs done before that
    images: int = 0  # of an epoch, once known
    told: float = 0.0

    def enter(self, stage: int, done: float) -> None:
        """Begin anew where a stage begins."""
        if stage != self.stage:
            self.stage, self.begun, self.skipped, self.images = stage, time.monotonic(), done, 0
            if self.bar is not None:
                self.bar.total = None

    def pace(self, done: float, epochs: int) -> str:
        """Return images a second and the time left, as far as they are known."""
        passed, epochs_passed = time.monotonic() - self.begun, done - self.skipped
        if passed <= 0 or epochs_passed <= 0:
            return ""
        rate = f", {self.images * epochs_passed / passed:,.0f} images/s" if self.images else ""
        return f"{rate}, {duration(passed / epochs_passed * (epochs - done))} left"


_shown: dict[RunInfo, _Shown] = {}  # several runs may go on at once


class _Lines(logging.Handler):
    """Write lines on stderr, above the bars that stand there."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one."""
        line = self.format(record)
        if not any(shown.bar is not None for shown in _shown.values()):
            print(line, file=sys.stderr)
            return
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)


def set_up_logging() -> None:
    """Let the logger ``ltbench`` write to stderr at the level of ``LTBENCH_LOG``, unless somebody has given it a place already.

    Raises:
        UserError: If ``LTBENCH_LOG`` is none of :data:`LEVELS`.
    """
    asked = os.environ.get("LTBENCH_LOG") or "info"
    if asked not in LEVELS:
        raise UserError(f"LTBENCH_LOG must be one of {', '.join(LEVELS)}, got {asked!r}")
    if not _LOG.handlers:
        _LOG.addHandler(_Lines())
        _LOG.propagate = False
    if any(isinstance(handler, _Lines) for handler in _LOG.handlers):
        _LOG.setLevel(asked.upper())


@hookimpl
def ltbench_run_start(run: RunInfo) -> None:
    """Show the run before anything of it is done: reading a large data set alone may take a while."""
    _shown[run] = _Shown(told=time.monotonic())
    if sys.stderr.isatty() and _LOG.isEnabledFor(logging.INFO):
        from tqdm import tqdm

        _shown[run].bar = tqdm(desc=str(run), unit="img", unit_scale=True, leave=False, dynamic_ncols=True)


@hookimpl
def ltbench_step(run: RunInfo, stage: int, epoch: int, epochs: int, step: int, steps: int, images: int) -> None:
    """Move the run's bar."""
    shown = _shown.setdefault(run, _Shown())
    shown.enter(stage, epoch - 1)
    shown.images = steps * images
    if (bar := shown.bar) is None:
        return
    if bar.total is None:
        bar.reset(total=epochs * shown.images)
        bar.n = bar.last_print_n = bar.initial = (epoch - 1) * shown.images
    bar.set_description_str(f"{run}, stage {stage}, epoch {epoch}/{epochs}", refresh=False)
    bar.update(((epoch - 1) * steps + step) * images - bar.n)


@hookimpl
def ltbench_epoch_end(run: RunInfo, stage: int, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
    """Say how the training goes."""
    shown = _shown.setdefault(run, _Shown())
    shown.enter(stage, epoch - 1)
    parts = [name for name in metrics if name not in _USUAL]  # of the loss, or what a method measures
    told = [name for name in (*_USUAL[:2], *parts) if name in metrics]
    figures = ", ".join(f"{name.replace('_', ' ')} {metrics[name]:.4g}" for name in told)
    if shown.bar is not None:
        shown.bar.set_postfix_str(figures)
        return
    now = time.monotonic()
    due = now - shown.told >= _EVERY
    if due:
        shown.told = now
    _LOG.log(logging.INFO if due else logging.DEBUG, "%s: stage %d, epoch %d/%d, %s%s", run, stage, epoch, epochs, figures,
             shown.pace(epoch, epochs))


@hookimpl
def ltbench_stage_end(run: RunInfo, stage: int, curve: Sequence[Mapping[str, Any]], reused: bool) -> None:
    """Say what was found in the store."""
    if reused:
        _LOG.debug("%s: stage %d was trained before", run, stage)
    if (shown := _shown.get(run)) is not None and shown.bar is not None:
        shown.bar.set_description_str(f"{run}, stage {stage} done")


@hookimpl
def ltbench_run_end(run: RunInfo, record: Record) -> None:
    """Say how the run ended."""
    if (shown := _shown.pop(run, None)) is not None and shown.bar is not None:
        shown.bar.close()
    seconds = sum(value or 0.0 for phase, value in record.timing.seconds.items() if phase != "data")  # which runs share
    if record.metrics is not None:
        result = " ".join(filter(None, [f"{record.metrics.accuracy.all:.2f} %", tell_of([record])]))
    elif record.status == "failed":
        return  # the runner has said so
    else:
        result = f"{record.status}: {record.reason}"
    _LOG.info("%s: %s (%.1f s)", run, result, seconds)
