"""``--launcher slurm`` against a real Slurm of one node on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.results import records
from tests.support.slurm_node import missing, slurm_node

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=f"Slurm is not installed: {', '.join(missing())}")]

MATRIX = ["run", "--cpu", "--protocol", "quick", "--epochs", "60", "--methods", "ce,ncm", "--seeds", "0,1"]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Start Slurm and let this process and its jobs find it; in a folder with a short name, for the socket in it."""
    pytest.importorskip("submitit")
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    path = os.pathsep.join(entry for entry in sys.path if entry)
    for name, value in {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}.items():
        monkeypatch.setenv(name, value)
    try:
        with slurm_node(folder) as environment:
            monkeypatch.setenv("SLURM_CONF", environment["SLURM_CONF"])
            yield folder
    finally:
        shutil.rmtree(folder)


def told(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def until(what: str, there: object, logs: Path) -> None:
    deadline = time.monotonic() + 900
    while not there():  # type: ignore[operator]
        said = "\n".join(path.read_text() for path in logs.glob("*.err"))
        assert time.monotonic() < deadline, f"{what}\n{told('squeue')}\n{said}"
        time.sleep(0.1)


def test_a_preempted_job_comes_back_and_the_records_are_those_of_a_plain_run(node: Path, tmp_path: Path,
                                                                          capsys: pytest.CaptureFixture[str]) -> None:
    def places(name: str) -> list[str]:
        return ["--out", str(tmp_path / name), "--cache", str(tmp_path / f"cache-{name}")]

    assert main([*MATRIX, *places("plain"), "--threads", "1"]) == 0
    capsys.readouterr()
    refused = [*MATRIX, *places("array"), "--launcher", "slurm", "--slurm", "partition=nowhere"]
    assert main(refused) == 2
    assert capsys.readouterr().err.startswith("ltbench: sbatch refuses the jobs: ")

    assert main([*MATRIX, *places("array"), "--launcher", "slurm", "--slurm-jobs", "2", "--slurm", "partition=main", "--slurm",
                 "cpus-per-task=1"]) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.endswith(" was submitted: 4 runs in 2 shards")
    array, logs = first.split()[1], tmp_path / "array" / ".slurm"
    script = (logs / f"{array}_submission.sh").read_text().splitlines()
    assert "#SBATCH --partition=main" in script and not any(line.startswith("#SBATCH --time") for line in script)
    assert " --cpus-per-task=1 " in script[-1]
    until("nothing trains", lambda: list((tmp_path / "cache-array").rglob("checkpoint.safetensors")), logs)
    # The node is full: an urgent job takes the place of one of the two, which gets SIGTERM and has a grace time to leave.
    told("sbatch", "--partition=urgent", "--output=/dev/null", "--wrap=sleep 1")
    until("nothing is requeued", lambda: "BeginTime" in told("squeue", "--noheader", "--format=%r"), logs)
    said = "\n".join(path.read_text() for path in logs.glob("*.err"))
    assert "ltbench: stopped by SIGTERM; the same command goes on where this one stopped\n" in said
    assert f"ltbench: job {array}_" in said and " is requeued" in said
    for job in told("squeue", "--noheader", "--array", "--format=%i", "--states=PENDING").split():
        told("scontrol", "update", f"job={job}", "StartTime=now")  # Slurm would wait for two minutes
    until("the array does not end", lambda: not told("squeue", "--noheader", f"--jobs={array}"), logs)

    plain, launched = (records.read_directory(tmp_path / name) for name in ("plain", "array"))
    assert plain[1] == launched[1] == [] and len(plain[0]) == 4
    for one, other in zip(plain[0], launched[0], strict=True):
        assert one.path.name == other.path.name and one.record.status == "completed"
        assert records.equal(one.record, other.record) == []

    # What has a record is not run again; with --wait the tables come at the end.
    assert main([*MATRIX, *places("array"), "--launcher", "slurm", "--slurm-jobs", "1", "--wait"]) == 0
    assert "| ce/ncm " in capsys.readouterr().out
