"""How long each phase of a run takes and how much memory it needs at most."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch

from ltbench.results.schema import Timing
from ltbench.running import environment


class Phases:
    """Collect seconds and peaks by phase.

    A phase's peak is the largest memory that the whole process has had by the phase's end: one that took less than a phase before
    it shows that one's. On a CUDA device it is the largest during the phase, with what was there before.

    Attributes:
        seconds: Phase -> how long it took.
    """

    _largest: ClassVar[dict[str, int]] = {}  # of the process since its start, whoever asked; by ``process`` and ``device``

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._peaks: dict[str, int] = {}
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure what happens within; a phase may be entered several times, and phases do not overlap."""
        self._remember()
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
            peaks = self._remember()
            self._note(name, peaks["process"])
            if "device" in peaks:
                self._note(f"{name} on the device", peaks["device"])

    def peaks(self, leave_out: tuple[str, ...] = ()) -> dict[str, int]:
        """Return bytes by phase, and those of the whole process so far as ``process`` and ``device``.

        Args:
            leave_out: Phases that did not happen here.
        """
        self._remember()
        names = {name for phase in leave_out for name in (phase, f"{phase} on the device")}
        return {name: peak for name, peak in self._peaks.items() if name not in names} | self._largest

    def _note(self, name: str, peak: int) -> None:
        self._peaks[name] = max(peak, self._peaks.get(name, 0))

    def _remember(self) -> dict[str, int]:
        peaks = environment.peak_memory(self._device)
        for name, peak in peaks.items():
            self._largest[name] = max(peak, self._largest.get(name, 0))
        return peaks


def fill(timing: Timing, reading: Phases, run: Phases) -> None:
    """Complete a record's timing.

    How long a stage trained is known, and stands there, wherever it did; how much memory that took is known only where it did.

    Args:
        timing: Holds the seconds of the stages' training already, and which of them were reused.
        reading: What was measured while the data was read; runs of one dataset share it.
        run: What was measured during the run.
    """
    reused = tuple(phase for phase, elsewhere in timing.reused.items() if elsewhere)
    timing.seconds = {**reading.seconds, **run.seconds, **timing.seconds}
    timing.peak_memory_bytes = {**reading.peaks(), **run.peaks(leave_out=reused)}
