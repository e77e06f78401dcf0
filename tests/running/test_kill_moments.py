"""Random moments of ``ltbench run``: nothing finished is lost, nothing half-written is read, the rerun's records are the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).resolve().parents[1] / "support" / "kill_moments.py"
MOMENTS = 9  # one of every kind; the driver takes any number


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="only Linux tells at once that a job was killed")
def test_jobs_that_are_killed_or_suspended_at_any_moment(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, str(DRIVER), str(tmp_path / "jobs"), str(MOMENTS)], capture_output=True, text=True,
                          env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"{MOMENTS} moments, 0 broken"
    assert done.stdout.count(": killed;") >= 2 and done.stdout.count(": went on;") >= 2  # others may be done before their moment
