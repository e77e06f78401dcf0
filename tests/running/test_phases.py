from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ltbench.results.schema import Timing
from ltbench.running import environment, phases
from ltbench.running.phases import Phases, fill

CPU = torch.device("cpu")
LINUX = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are forgotten on Linux only")

# In a process of its own: how much of freed memory goes back to the system depends on what else the process holds.
HILL = """
import json
import torch
from ltbench.running.phases import Phases
phases = Phases(torch.device("cpu"))
with phases.phase("first"):
    pass
with phases.phase("large"):
    torch.ones(60 << 20)  # 240 MiB
with phases.phase("last"):
    torch.ones(15 << 20)  # 60 MiB
print(json.dumps(phases.peaks()))
"""


@LINUX
def test_a_phase_knows_its_own_peak_and_the_process_keeps_the_largest() -> None:
    import json

    done = subprocess.run([sys.executable, "-c", HILL], capture_output=True, text=True, check=True)
    peaks = json.loads(done.stdout)
    first, large, last = (peaks[name] / 2**20 for name in ("first", "large", "last"))
    assert 230 < large - first < 260 and 50 < last - first < 80
    assert peaks["process"] >= peaks["large"]
    assert set(peaks) == {"first", "large", "last", "process"}


def test_seconds_of_a_phase_add_up() -> None:
    found, started = Phases(CPU), time.perf_counter()
    for _ in range(2):
        with found.phase("sleep"):
            time.sleep(0.02)
    assert found.seconds.keys() == {"sleep"} and 0.04 <= found.seconds["sleep"] <= time.perf_counter() - started


def test_a_phase_that_fails_is_measured_too() -> None:
    found = Phases(CPU)
    with pytest.raises(ValueError), found.phase("short"):
        raise ValueError
    assert found.seconds["short"] >= 0


def test_where_peaks_cannot_be_forgotten_phases_have_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(phases, "_FORGET", tmp_path / "nowhere" / "clear_refs")
    found = Phases(CPU)
    with found.phase("stage 1"):
        pass
    assert found.peaks().keys() == {"process"} and found.seconds.keys() == {"stage 1"}


def test_the_process_never_forgets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(phases, "_FORGET", tmp_path / "clear_refs")
    monkeypatch.setattr(Phases, "_largest", {})
    readings = iter([500, 900, 200, 300, 100])
    monkeypatch.setattr(environment, "peak_memory", lambda device: {"process": next(readings)})
    found = Phases(CPU)
    with found.phase("large"):  # 500 before it, 900 in it
        pass
    with found.phase("small"):
        pass
    assert found.peaks() == {"large": 900, "small": 300, "process": 900}
    assert (tmp_path / "clear_refs").read_text() == "5"


def test_a_record_has_memory_of_what_happened_here_and_seconds_of_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(phases, "_FORGET", tmp_path / "clear_refs")
    reading, run = Phases(CPU), Phases(CPU)
    with reading.phase("data"):
        pass
    for name in ("stage 1", "stage 2", "evaluation"):
        with run.phase(name):
            pass
    timing = Timing(seconds={"stage 1": 99.0, "stage 2": 7.0}, reused={"stage 1": True, "stage 2": False}, peak_memory_bytes={})
    fill(timing, reading, run)
    assert timing.seconds.keys() == {"data", "stage 1", "stage 2", "evaluation"}
    assert (timing.seconds["stage 1"], timing.seconds["stage 2"]) == (99.0, 7.0)
    assert timing.peak_memory_bytes.keys() == {"data", "stage 2", "evaluation", "process"}
