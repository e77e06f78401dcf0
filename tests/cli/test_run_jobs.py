"""``--jobs`` with real processes: the records of one job, whatever happens to the processes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.results import records
from tests.support.alive import alive, started_at

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


def children(parent: int) -> list[int]:
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


def until_it_has_children(process: subprocess.Popen[str]) -> list[int]:
    """Wait for the processes that a command starts, which then only begin to start."""
    while process.poll() is None:
        if len(found := children(process.pid)) == 2:
            return found
        time.sleep(0.002)
    raise AssertionError(f"it ended before: {process.communicate()[1]}")


def gone(processes: list[tuple[int, str | None]]) -> bool:
    """Wait until processes, each with its start, have ended; False if one of them outlives its launcher."""
    deadline = time.monotonic() + 600
    while any(alive(*process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _ends(err: str) -> list[str]:
    """Return what is said without what is told of runs that take longer than ten seconds, while they train."""
    return [line for line in err.splitlines() if ": stage " not in line]


def test_two_jobs_give_the_records_of_one(quiet: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*MATRIX, *places(tmp_path), "--jobs", "2"]) == 0
    same(quiet, tmp_path)
    told = capfd.readouterr()
    start, *lines, end = _ends(told.err)
    assert start.startswith("6 runs on cpu") and end.startswith("the records are in ")
    ends = sorted(line.partition(" (")[0] for line in lines)
    assert [line[:5] for line in ends] == [f"[{number}/6]" for number in range(1, 7)]  # nothing else, and nothing twice
    assert "| ce/ncm " in told.out
    assert {record.environment.threads for record in contents(tmp_path).values()} == {1}


def test_processes_that_die_lose_nothing(quiet: Path, tmp_path: Path) -> None:
    """SIGKILL of the launcher, whose processes must not outlive it; SIGTERM of all, as a scheduler does it; SIGKILL of one."""
    moments = random.Random(0)
    shortest = min(record.timing.seconds["stage 1"] or 0.0 for record in contents(quiet).values())
    for victims, number, code in (("launcher", signal.SIGKILL, -9), ("all", signal.SIGTERM, 143), ("one", signal.SIGKILL, 0)):
        process = begin(tmp_path)
        assert until_it_trains(tmp_path, process)
        found = children(process.pid)
        begun = [(pid, started_at(pid)) for pid in found]
        time.sleep(moments.uniform(0.0, 0.3) * shortest)
        for pid in {"launcher": [process.pid], "all": [*found, process.pid], "one": found[:1]}[victims]:
            with suppress(ProcessLookupError):  # one of all has ended with the first
                os.kill(pid, number)
        _, err = process.communicate(timeout=7200)
        assert process.returncode == code, err
        assert "Traceback" not in err and "failed" not in err
        if victims == "all":
            assert err.splitlines()[-1] == "ltbench: stopped by SIGTERM; the same command goes on where this one stopped"
        assert gone(begun)
        assert victims != "launcher" or len(contents(tmp_path)) < 6  # they were ended, and had not come to their own end
    same(quiet, tmp_path)


@pytest.mark.parametrize("victims", [1, 2])
def test_processes_that_are_killed_at_their_start_lose_nothing(victims: int, quiet: Path, tmp_path: Path) -> None:
    process = begin(tmp_path)
    for pid in until_it_has_children(process)[:victims]:
        with suppress(ProcessLookupError):  # one that the launcher has ended and waited for meanwhile
            os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=7200)
    assert process.returncode == 0, err
    same(quiet, tmp_path)


METHODS = """
import os, signal
from pathlib import Path
import ltbench

class Deadly(ltbench.Method):
    \"\"\"End the process.\"\"\"
    name, stages = "deadly", frozenset({1})

    def setup(self, ctx):
        os.kill(os.getpid(), signal.SIGKILL)

class Broken(ltbench.Method):
    \"\"\"Raise, and hold what does not pickle.\"\"\"
    name, stages = "broken", frozenset({1})

    def __init__(self, facts):
        super().__init__(facts)
        self.nothing = lambda: None

    def setup(self, ctx):
        with Path("attempts").open("a") as file:
            file.write("x")
        raise RuntimeError("as planned")
"""


def test_a_run_that_fails_or_ends_its_process_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                         capfd: pytest.CaptureFixture[str]) -> None:
    """One that raises is tried once; one that ends its process may have been killed from outside, and is tried again once."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs_methods.py").write_text(METHODS)
    command = ["--plugin", "jobs_methods.py", "run", "--cpu", "--protocol", "smoke", "--methods", "deadly,broken,ce", "--seeds",
               "0", *places(tmp_path), "--jobs", "2"]
    process = subprocess.run([sys.executable, "-m", "ltbench.cli.main", *command], text=True, capture_output=True,
                             env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)})
    assert process.returncode == 1, process.stderr
    found = {record.expression: record for record in contents(tmp_path).values()}
    assert {name: record.status for name, record in found.items()} == {"deadly": "failed", "broken": "failed",
                                                                          "ce": "completed"}
    assert found["deadly"].reason == "its process ended 2 times before it did: out of memory, or killed from outside"
    assert sorted(line.partition(": ")[2] for line in process.stderr.splitlines() if line.startswith("failed: ")) == [
        "[1/3] deadly on digits-lt@20, seed 0: its process ended 2 times before it did: out of memory, or killed from outside",
        "[2/3] broken on digits-lt@20, seed 0: RuntimeError: as planned"]
    assert (tmp_path / "attempts").read_text() == "x"


def test_what_is_run_again_is_run_once(quiet: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(quiet, tmp_path, dirs_exist_ok=True)
    capfd.readouterr()
    assert main([*MATRIX, *places(tmp_path), "--jobs", "2", "--rerun"]) == 0
    _, *lines, _ = _ends(capfd.readouterr().err)
    assert sorted(line[:5] for line in lines) == [f"[{number}/6]" for number in range(1, 7)]
    assert main([*MATRIX, *places(tmp_path), "--jobs", "2"]) == 0
    assert len(capfd.readouterr().err.splitlines()) == 2  # no process is started
