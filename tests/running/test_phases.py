from __future__ import annotations

import subprocess
import sys
import time

import pytest
import torch

from ltbench.results.schema import Timing
from ltbench.running import environment
from ltbench.running.phases import Phases, fill

CPU = torch.device("cpu")

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


def test_a_phase_knows_the_peak_until_its_end() -> None:
    import json

    done = subprocess.run([sys.executable, "-c", HILL], capture_output=True, text=True, check=True)
    peaks = json.loads(done.stdout)
    first, large, last = (peaks[name] / 2**20 for name in ("first", "large", "last"))
    assert 230 < large - first < 260 and last == large
    assert peaks["process"] == peaks["large"]
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


def test_the_process_never_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Phases, "_largest", {})
    readings = iter([500, 900, 200, 300, 100])  # a device's are reset
    monkeypatch.setattr(environment, "peak_memory", lambda device: {"process": 1000, "device": next(readings)})
    found = Phases(CPU)
    with found.phase("large"):  # 500 before it, 900 in it
        pass
    with found.phase("small"):
        pass
    assert found.peaks() == {"large": 1000, "small": 1000, "process": 1000, "large on the device": 900,
                             "small on the device": 300, "device": 900}


def test_a_record_has_memory_of_what_happened_here_and_seconds_of_all() -> None:
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
