from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ltbench.system import lease
from ltbench.system.lease import Lease
from ltbench.system.owner import this_process

PROCESS = Path(__file__).resolve().parents[1] / "support" / "lease_process.py"


def start(*arguments: object, before: Sequence[str] = ()) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen([*before, sys.executable, str(PROCESS), *map(str, arguments)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True, env=environment)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def one(folder: Path) -> Lease:
    return Lease(folder, "one", "testing")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("BEAT", 0.1), ("EXPIRY", 0.5), ("WATCH", 0.2)):
        monkeypatch.setattr(lease, name, seconds)
    monkeypatch.setattr(lease, "_heart", lease._Heart())  # one that knows these times from its start


def test_a_killed_process_blocks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "EXPIRY", 3600.0)  # its death is seen, and its silence not waited for
    owner = start("hold", tmp_path)
    assert line(owner) == "held"
    mine = one(tmp_path)
    assert not mine.attempt()
    owner.kill()
    started = time.monotonic()
    mine.wait()
    assert time.monotonic() - started < 600
    mine.release()
    owner.communicate()


@pytest.mark.slow
def test_a_process_of_another_machine_that_dies_blocks_nobody(short: None, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "EXPIRY", 600.0)  # longer than a busy machine keeps its stamps waiting
    apart = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]  # where process numbers mean others
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip("there can be no process apart from this one's")
    owner = start("hold", tmp_path, before=apart)
    assert line(owner) == "held"
    mine = one(tmp_path)
    for _ in range(5):
        assert not mine.attempt()  # it beats
        time.sleep(0.15)
    assert mine.holder is not None and not mine.holder.owner.here and mine.holder.owner.pid == 1
    owner.kill()
    owner.wait()
    assert not mine.attempt()  # nobody here can know
    monkeypatch.setattr(lease, "EXPIRY", 0.5)
    mine.wait()
    mine.release()
    owner.communicate()


def test_a_suspended_process_loses_it_and_notices(short: None, tmp_path: Path) -> None:
    owner = start("hold", tmp_path, 600)  # however long a busy machine keeps this process's stamps waiting
    assert line(owner) == "held"
    os.kill(owner.pid, signal.SIGSTOP)
    mine = one(tmp_path)
    mine.wait()
    os.kill(owner.pid, signal.SIGCONT)
    assert owner.stdin is not None
    owner.stdin.close()  # it makes sure now, and waits
    time.sleep(0.2)
    assert mine.confirm()
    mine.release()
    assert line(owner) == "lost"
    assert owner.wait() == 0 and list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_step_that_lets_no_other_thread_run_loses_nothing(short: None, tmp_path: Path) -> None:
    owner = start("deaf", tmp_path)
    assert line(owner) == "held"
    mine = one(tmp_path)
    mine.wait()
    assert line(owner) == "confirmed"
    mine.release()
    owner.communicate()


def test_of_many_takers_one_succeeds_each_time(tmp_path: Path) -> None:
    takers, rounds = 5, 20
    processes = [start("race", tmp_path, rounds) for _ in range(takers)]
    for process in processes:
        assert line(process) == "ready"
    for number in range(rounds):
        file = tmp_path / "leases" / f"round-{number}" / "0123"  # of an owner that is dead: all see that at once
        file.parent.mkdir(parents=True)
        file.write_bytes(replace(this_process("dead"), pid=2**22 + 1).to_bytes())
        (tmp_path / f"go-{number}").touch()
    for process in processes:
        assert process.wait() == 0
        process.communicate()
    for number in range(rounds):
        words = (tmp_path / f"log-{number}").read_text().split()
        pids = words[1::4]
        assert words == [word for pid in pids for word in ("in", pid, "out", pid)], "two were in at once"
        assert sorted(pids) == sorted(str(process.pid) for process in processes)
    assert list((tmp_path / "leases").iterdir()) == []
