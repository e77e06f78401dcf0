"""Processes are ended by what they do: one that waits for nothing, one that works without end, and not one that is let wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ltbench.testing import patience
from ltbench.testing.patience import Patience
from ltbench.testing.processes import launch

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="the system does not say what processes do")
SPIN = "while True: pass"


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Callable[[str], subprocess.Popen[bytes]]:
    def begin(code: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE)
        request.addfinalizer(lambda: (process.kill(), process.communicate()))
        return process

    return begin


def ranks(folder: Path, first: str) -> list[int]:
    """Launch two ranks, of which the second fails at once."""
    code = f"import os, time\nif os.environ['RANK'] == '1': raise SystemExit(1)\n{first}"
    return launch([sys.executable, "-S", "-c", code], 2, folder, seconds=600)


def until(watched: Patience) -> None:
    while not watched.ended():
        time.sleep(0.01)


def test_one_that_works_is_let_work_for_its_own_seconds(start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    process = start(SPIN)
    until(Patience([process], 0.5))
    assert 0.4 < patience._work_of(process.pid)  # of its own, whatever the clock says


def test_work_of_what_it_started_counts(start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    process = start(f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {SPIN!r}])")
    until(Patience([process], 0.5))
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:
        os.kill(int(children.read()), signal.SIGKILL)


def test_one_that_waits_for_nothing_is_ended(start: Callable[[str], subprocess.Popen[bytes]],
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    process = start("print('begun', flush=True); import time; time.sleep(600)")
    assert process.stdout is not None and process.stdout.readline() == b"begun\n"
    monkeypatch.setattr(patience, "_IDLE", 0.3)
    until(Patience([process], 600))


def test_one_that_works_beside_one_that_waits_is_waited_for(start: Callable[[str], subprocess.Popen[bytes]],
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank waits while the other one computes: its time, and not its wait, is what counts."""
    now = 1000.0
    monkeypatch.setattr(patience.time, "monotonic", lambda: now)
    work = {"busy": 0.0, "idle": 0.0}
    monkeypatch.setattr(patience, "_work_of", lambda pid: work[pid])
    monkeypatch.setattr(patience, "_wants_to_work", lambda pid: False)
    watched = Patience([type("Process", (), {"pid": pid})() for pid in work], 100)  # type: ignore[misc]
    for _ in range(50):  # each does a little before a minute is over
        for _ in range(59):
            now += 1
            assert not watched.ended()
        work["busy"] += 0.11
        assert not watched.ended()
    now += 600  # in which nobody looked
    assert not watched.ended()
    for _ in range(60):
        now += 1
        ended = watched.ended()
    assert ended


def test_one_that_is_not_let_work_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of the highest priority beside it leaves it a hundredth of a core, or nothing."""
    now = 1000.0
    monkeypatch.setattr(patience.time, "monotonic", lambda: now)
    monkeypatch.setattr(patience, "_work_of", lambda pid: 0.0)
    monkeypatch.setattr(patience, "_wants_to_work", lambda pid: True)
    watched = Patience([type("Process", (), {"pid": 1})()], 100)  # type: ignore[list-item]
    for _ in range(1000):
        now += 1
        assert not watched.ended()


def test_what_wants_to_work_is_told_from_what_sleeps(start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    sleeps = start("print('begun', flush=True); import time; time.sleep(600)")
    assert sleeps.stdout is not None and sleeps.stdout.readline() == b"begun\n"
    while patience._wants_to_work(sleeps.pid):
        time.sleep(0.01)
    spins = start(f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {SPIN!r}])")
    while not patience._children(spins.pid):
        time.sleep(0.01)
    (child,) = patience._children(spins.pid)
    while patience._work_of(child) < 0.1:
        time.sleep(0.01)
    assert patience._wants_to_work(spins.pid) and patience._wants_to_work(child)
    assert not patience._wants_to_work(sleeps.pid)
    os.kill(child, signal.SIGKILL)


def test_a_rank_that_still_does_something_is_let_end_when_another_one_fails(tmp_path: Path) -> None:
    assert ranks(tmp_path, "while time.process_time() < 1.5: pass") == [0, 1]


@pytest.mark.parametrize("first", ["time.sleep(3600)", SPIN])
def test_a_rank_that_hangs_is_ended_when_another_one_fails(first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_LAST_IDLE", 0.3)
    monkeypatch.setattr(patience, "_LAST_PROCESSOR", 0.3)
    assert ranks(tmp_path, first) == [-signal.SIGKILL, 1]
