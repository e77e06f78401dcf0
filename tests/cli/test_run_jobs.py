"""``--jobs`` with real workers: the records of one job, whatever happens to the processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.results import records

pytestmark = pytest.mark.slow

# Each of the first stages takes about a second, so that a signal hits one of them.
MATRIX = ["run", "--cpu", "--protocol", "quick", "--epochs", "16", "--methods", "ce,ncm,ldam", "--seeds", "0,1"]


def places(folder: Path) -> list[str]:
    return ["--out", str(folder / "runs"), "--cache", str(folder / "cache")]


def contents(folder: Path) -> dict[str, records.Record]:
    stored, problems = records.read_directory(folder / "runs")
    assert problems == []
    return {item.path.name: item.record for item in stored}


def beside(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "runs").iterdir() if path.suffix in (".npz", ".safetensors")}


def same(one: Path, other: Path) -> None:
    """Compare everything that two folders hold, bit for bit outside timing and environment."""
    first, second = contents(one), contents(other)
    assert first.keys() == second.keys()
    for name, record in first.items():
        assert record.status == "completed" and records.equal(record, second[name]) == []
    assert beside(one) == beside(other)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the records of one job."""
    folder = tmp_path_factory.mktemp("quiet")
    assert main([*MATRIX, *places(folder), "--threads", "1"]) == 0
    return folder


def begin(folder: Path, *more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    return subprocess.Popen([sys.executable, "-m", "ltbench.cli.main", *MATRIX, *places(folder), "--jobs", "2", *more], text=True,
                            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def workers(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def until_it_trains(folder: Path, process: subprocess.Popen[str]) -> bool:
    """Wait for the first checkpoint that a process writes; return whether it still runs."""
    started = time.time()
    while process.poll() is None:
        with suppress(FileNotFoundError):  # a stage was finished
            if any(path.stat().st_mtime > started for path in (folder / "cache").rglob("checkpoint.safetensors")):
                return True
        time.sleep(0.02)
    return False


def test_two_jobs_give_the_records_of_one(quiet: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*MATRIX, *places(tmp_path), "--jobs", "2"]) == 0
    same(quiet, tmp_path)
    told = capfd.readouterr()
    ends = sorted(line.partition(" (")[0] for line in told.err.splitlines())
    assert [line[:5] for line in ends] == [f"[{number}/6]" for number in range(1, 7)]  # nothing else, and nothing twice
    assert "| ce/ncm " in told.out
    assert {record.environment.threads for record in contents(tmp_path).values()} == {1}


def test_processes_that_die_lose_nothing(quiet: Path, tmp_path: Path) -> None:
    """SIGKILL of the launcher, whose workers must not outlive it; SIGTERM of all, as a scheduler does it; SIGKILL of a worker."""
    moments = random.Random(0)
    finished = False  # whether the worker had written its record before it was killed
    for victims, number, code in (("launcher", signal.SIGKILL, -9), ("all", signal.SIGTERM, 143), ("worker", signal.SIGKILL, 1)):
        process = begin(tmp_path)
        assert until_it_trains(tmp_path, process)
        children = workers(process.pid)
        time.sleep(moments.uniform(0.0, 0.3))
        for pid in {"launcher": [process.pid], "all": [*children, process.pid], "worker": children[:1]}[victims]:
            os.kill(pid, number)
        _, err = process.communicate(timeout=120)
        finished = victims == "worker" and process.returncode == 0
        assert process.returncode == code or finished, err
        assert "Traceback" not in err
        failures = [line for line in err.splitlines() if line.startswith("failed: ")]
        assert len(failures) == (victims == "worker" and not finished)
        assert all(line.endswith("its process was ended by SIGKILL: out of memory, or killed from outside") for line in failures)
        if victims == "all":
            assert err.splitlines()[-1] == "ltbench: stopped by SIGTERM; the same command goes on where this one stopped"
        deadline = time.monotonic() + 25
        while any(Path(f"/proc/{child}").exists() for child in children):
            assert time.monotonic() < deadline, "a worker outlived its launcher"
            time.sleep(0.1)
    assert sorted(record.status for record in contents(tmp_path).values()) == ["completed"] * 5 + [
        "completed" if finished else "failed"]
    assert main([*MATRIX, *places(tmp_path), "--threads", "1"]) == 0
    same(quiet, tmp_path)
