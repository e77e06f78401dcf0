"""A rank that fails, or is killed, or whose launcher is: all ranks end, one line says why, and the same command goes on.

Ten random moments are tried; ``LTBENCH_KILLS=50`` tries more.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ltbench.results import records
from ltbench.system.atomic import sweep

DRIVER = Path(__file__).resolve().parents[1] / "support" / "rank_driver.py"
KILLS = int(os.environ.get("LTBENCH_KILLS", "10"))
PROMISE = "the same command goes on from the last finished epoch"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the driver reads /proc")]


def run(folder: Path, attempts: list[dict[str, Any]], seeds: str) -> tuple[list[dict[str, float]], list[str]]:
    """Run the driver; return what it says of each attempt, and the program's own lines on stderr."""
    arguments = ["run", "--methods", "ldam+drw,mixup/maxnorm", "--dataset", "digits-lt", "--protocol", "quick", "--epochs", "3",
                 "--seeds", seeds, "--out", str(folder / "runs"), "--cache", str(folder / "cache"), "--cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, str(DRIVER), json.dumps(attempts), *arguments], capture_output=True, text=True,
                          env=environment, timeout=7200)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert "left 0" in lines, "ranks lived on"
    return ([json.loads(line.removeprefix("attempt ")) for line in lines if line.startswith("attempt ")],
            [line for line in done.stderr.splitlines() if line.startswith("ltbench: rank")])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """Return the records of two ranks that nobody disturbed, and the seconds that they took."""
    folder = tmp_path_factory.mktemp("quiet")
    (attempt,), lines = run(folder, [{"world": 2}], "0,1,2")
    assert attempt["code"] == 0 and not lines
    return folder / "runs", attempt["seconds"]


@pytest.fixture(scope="module")
def quiet(undisturbed: tuple[Path, float]) -> Path:
    return undisturbed[0]


def check_same(quiet: Path, found: Path, count: int) -> None:
    paths = list(found.glob("*.json"))
    assert len(paths) == count
    for path in paths:
        assert records.equal(records.read(quiet / path.name), records.read(path)) == []
        assert (quiet / path.name).with_suffix(".npz").read_bytes() == path.with_suffix(".npz").read_bytes()
    assert not [path for path in found.iterdir() if path.suffix not in (".json", ".npz", ".safetensors")]


def test_a_rank_that_fails_ends_all(quiet: Path, tmp_path: Path) -> None:
    """The launcher of the first attempt leaves the other ranks alone: they end by themselves."""
    attempts = [{"world": 2, "fault": [1, 20, "error"], "patience": 600}, {"world": 2, "fault": [1, 20, "memory"]},
                {"world": 2, "fault": [1, 20, "kill"], "patience": 600},
                {"world": 2, "fault": [1, 20, "launcher"], "orphans": True}, {"world": 2}]
    found, lines = run(tmp_path, attempts, "0")
    assert [attempt["code"] for attempt in found] == [1, 1, 1, -9, 0]
    run_name = "[1/2] ldam+drw on digits-lt@20, seed 0"
    assert lines[:2] == [
        f"ltbench: rank 1 of 2: {run_name}: ArithmeticError: as planned; {PROMISE}",
        f"ltbench: rank 1 of 2: {run_name}: out of memory on cpu:0: run with --accumulate 2 or more, which leaves the global "
        f"batch as it is; {PROMISE}",
    ]
    assert lines[2] == ("ltbench: rank 0 of 2: another process is gone, killed or out of memory (the launcher or the system's "
                        f"log says which); {PROMISE}")
    assert sorted(lines[3:]) == [f"ltbench: rank {rank} of 2: the launcher is gone; {PROMISE}" for rank in (0, 1)]
    assert found[3]["orphans"] < 600  # where one of them sleeps for an hour
    check_same(quiet, tmp_path / "runs", 2)


def test_a_run_that_fails_alike_on_all_ranks_gets_its_record(tmp_path: Path) -> None:
    found, lines = run(tmp_path, [{"world": 2, "fault": [-1, 20, "error"]}], "0")
    assert found[0]["code"] == 1 and not lines
    reports = [records.read(path) for path in (tmp_path / "runs").glob("*.json")]
    assert sorted((record.status, record.reason) for record in reports) == [
        ("completed", None), ("failed", "ArithmeticError: as planned")]


def test_kills_at_random_moments_lose_nothing(undisturbed: tuple[Path, float], tmp_path: Path) -> None:
    """Moments are shares of the undisturbed time; where the machine is faster now, so that most come too late, earlier
    ones are tried."""
    quiet, seconds = undisturbed
    chance, hit = random.Random(0), 0
    for part in (1.0, 0.5, 0.25, 0.125):
        moments = [chance.uniform(0, part / KILLS) * seconds for _ in range(KILLS)]
        attempts: list[dict[str, Any]] = [{"world": 2, "kill": [chance.choice((-1, 0, 1)), moment]} for moment in moments]
        folder = tmp_path / str(part)
        found, _ = run(folder, [*attempts, {"world": 2}], "0,1,2")
        codes = [attempt["code"] for attempt in found]
        assert codes[-1] == 0
        for path in (folder / "runs").glob(".*.tmp"):  # an hour later, in which nobody has touched them
            os.utime(path, (0, 0))
        sweep(folder / "runs")
        check_same(quiet, folder / "runs", 6)
        hit = sum(code != 0 for code in codes)
        if hit >= KILLS // 2:
            break
    assert hit >= KILLS // 2
