"""SIGTERM and its like at random moments, then the same command again: the records of a run that nobody stopped, bit for bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ltbench.results import records

DRIVER = Path(__file__).resolve().parents[1] / "support" / "stop_driver.py"
MOMENTS = 12
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="the driver forks")]


def run(folder: Path, stops: list[Any]) -> tuple[list[int], str]:
    """Run the driver; return the exit code of each attempt and all that was said."""
    arguments = ["run", "--methods", "ldam+drw,mixup/maxnorm,ce/crt", "--dataset", "digits-lt", "--protocol", "quick",
                 "--seeds", "3", "--out", str(folder / "runs"), "--cache", str(folder / "cache"), "--cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, str(DRIVER), json.dumps(stops), *arguments], capture_output=True, text=True,
                          env=environment)
    assert done.returncode == 0, done.stderr
    (codes,) = (line for line in done.stdout.splitlines() if line.startswith("codes "))
    return json.loads(codes.removeprefix("codes ")), done.stderr


def test_a_stopped_run_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    assert run(tmp_path / "quiet", [None])[0] == [0]
    moments = random.Random(0)
    numbers = [moments.choice([signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]) for _ in range(MOMENTS)]
    codes, said = run(tmp_path / "stopped", [*((number, moments.uniform(0.0, 0.4)) for number in numbers), None])
    for number, code in zip(numbers, codes[:-1], strict=True):
        assert code in (128 + number, 0)  # the last when all was done
    assert codes[-1] == 0 and sum(code > 128 for code in codes) >= 4
    assert said.count("; the same command goes on where this one stopped\n") == sum(code > 128 for code in codes)
    assert "Traceback" not in said and "failed" not in said

    quiet, stopped = ({path.name: path for path in (tmp_path / name / "runs").iterdir()} for name in ("quiet", "stopped"))
    assert quiet.keys() == stopped.keys() and len(quiet) == 9
    for name, path in quiet.items():
        if path.suffix == ".json":
            assert records.read(path).status == "completed"
            assert records.equal(records.read(path), records.read(stopped[name])) == []
        else:
            assert path.read_bytes() == stopped[name].read_bytes()
