"""The progress display, an ordinary observer: bars with an ETA on a terminal, one line a run elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ltbench.registry.hookspecs import hookimpl
from ltbench.registry.run_info import RunInfo
from ltbench.results.schema import Record

_USUAL = ("loss", "train_accuracy", "rate")  # figures of every curve
_bars: dict[tuple[RunInfo, int], Any] = {}  # by run and stage: several runs may go on at once


def say(line: str) -> None:
    """Print a line on stderr, above the bars that stand there.

    Args:
        line: Without its end.
    """
    if not _bars:
        print(line, file=sys.stderr)
        return
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)


@hookimpl
def ltbench_epoch_end(run: RunInfo, stage: int, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
    """Move the stage's bar; say nothing where nobody watches."""
    if not sys.stderr.isatty():
        return
    from tqdm import tqdm

    bar = run, stage
    if bar not in _bars:
        _bars[bar] = tqdm(total=epochs, initial=epoch - 1, desc=f"{run} stage {stage}", unit="epoch", leave=False)
    parts = {name: value for name, value in metrics.items() if name not in _USUAL}  # of the loss, or what a method measures
    _bars[bar].set_postfix({name: f"{value:.3f}" for name, value in {"loss": metrics["loss"], **parts}.items()}, refresh=False)
    _bars[bar].update()
    if epoch == epochs:
        _bars.pop(bar).close()


@hookimpl
def ltbench_run_end(run: RunInfo, record: Record) -> None:
    """Print how the run ended."""
    for bar in [bar for bar in _bars if bar[0] == run]:
        _bars.pop(bar).close()
    seconds = sum(value or 0.0 for phase, value in record.timing.seconds.items() if phase != "data")  # which runs share
    if record.metrics is not None:
        result = f"{record.metrics.accuracy.all:.2f} %"
    elif record.status == "failed":
        return  # the runner has said so
    else:
        result = f"{record.status}: {record.reason}"
    say(f"{run}: {result} ({seconds:.1f} s)")
