"""kill -9, then the same command again: the records must be those of a run that nobody interrupted, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ltbench.results import records

DRIVER = Path(__file__).resolve().parents[1] / "support" / "kill_driver.py"
# The first has a schedule and a cosine head of its own, the second draws while it mixes and bounds norms after every step, the
# third starts a new head and resamples.
METHODS = "ldam+drw,mixup/maxnorm,ce/crt"
EPOCHS, STEPS = 4, 12  # 405 images in batches of 32
KILLS = [
    ["step", 1, STEPS + 5],  # stage 1, in the middle of the second epoch of ldam+drw: the first one is kept
    ["saved", 1, 2],  # between its third and its fourth epoch
    ["writing", 1, 1],  # while the checkpoint of the fourth is being written: the third one's must survive
    ["step", 1, STEPS + 2 * STEPS + 7],  # ldam+drw is done; the third epoch of mixup
    ["step", 2, 3 * STEPS + 4],  # stage 2, in the middle of the fourth epoch of maxnorm
    ["saved", 2, 7 + 5],  # between epochs of crt: the seven that maxnorm had left, then five
    None,
]


def run(folder: Path, kills: list[Any]) -> tuple[list[int], dict[str, int]]:
    """Run the driver; return the exit code of each attempt and the steps by stage of the last."""
    arguments = ["run", "--methods", METHODS, "--dataset", "digits-lt", "--protocol", "quick", "--epochs", str(EPOCHS),
                 "--seeds", "3", "--out", str(folder / "runs"), "--cache", str(folder / "cache"), "--cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, str(DRIVER), json.dumps(kills), *arguments], capture_output=True, text=True,
                          env=environment)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith(("steps ", "codes ")))
    return json.loads(lines["codes"]), json.loads(lines["steps"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the driver forks")
@pytest.mark.slow
def test_a_killed_run_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    codes, steps = run(tmp_path / "quiet", [None])
    assert codes == [0] and steps == {"1": 3 * EPOCHS * STEPS, "2": 2 * 10 * STEPS}
    codes, steps = run(tmp_path / "killed", KILLS)
    assert codes == [-signal.SIGKILL] * (len(KILLS) - 1) + [0]
    assert steps == {"2": 5 * STEPS}  # it went on; it did not start again

    quiet = {path.name: path for path in (tmp_path / "quiet" / "runs").glob("*.json")}
    killed = {path.name: path for path in (tmp_path / "killed" / "runs").glob("*.json")}
    assert len(quiet) == 3 and quiet.keys() == killed.keys()
    for name, path in quiet.items():
        record = records.read(path)
        assert record.status == "completed" and len(record.curve) == EPOCHS + (10 if len(record.stages) == 2 else 0)
        assert records.equal(record, records.read(killed[name])) == []
        assert path.with_suffix(".npz").read_bytes() == killed[name].with_suffix(".npz").read_bytes()
        kept = "geometry.safetensors"
        assert path.with_suffix(f".{kept}").read_bytes() == killed[name].with_suffix(f".{kept}").read_bytes()
    expected = (".json", ".npz", ".safetensors")
    assert not [path for path in (tmp_path / "killed" / "runs").iterdir() if path.suffix not in expected]
