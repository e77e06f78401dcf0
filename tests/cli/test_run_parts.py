"""What ``ltbench run`` tells other processes, and how a job of Slurm comes back: without Slurm and without training."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path

import pytest

from ltbench.cli.main import build_parser
from ltbench.cli.run.options import request_of
from ltbench.cli.run.slurm import parse_slurm
from ltbench.cli.run.slurm_job import ShardJob
from ltbench.planning.request import Request
from ltbench.registry.discovery import load_registry
from ltbench.running import jobs
from ltbench.system.stopping import Stopped

TYPED = ["run", "--methods", "ce,ncm", "--out", "somewhere", "--jobs", "4"]


def typed(*more: str, without: tuple[str, ...] = ()) -> Request:
    return request_of(build_parser(load_registry(without)).parse_args([*TYPED, *more]))


def test_a_request_reaches_another_process() -> None:
    request = typed("--set", "la.tau=0.5", "--epochs", "3", without=("analysis",))
    there = pickle.loads(pickle.dumps(request))
    assert there == request
    assert (there.what.methods, there.how.out, there.how.jobs) == (("ce", "ncm"), Path("somewhere"), 4)
    assert (there.what.settings, there.terms.by_hand, there.no_plugins) == ({"la": {"tau": "0.5"}}, {"epochs": 3}, ("analysis",))


@pytest.mark.parametrize(("more", "environment", "tiny", "expected"), [
    ([], None, False, 4),  # 16 cores for 4 jobs
    ([], None, True, 1),
    ([], "2", False, 2),
    ([], "16", True, 4),  # what a user set for the whole machine is divided
    (["--threads", "3"], "2", True, 3),
])
def test_threads_are_divided(more: list[str], environment: str | None, tiny: bool, expected: int,
                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "cores", lambda: 16)
    monkeypatch.setattr(jobs, "data_workers", lambda: 16)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("LTBENCH_WORKERS", raising=False)
    if environment is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", environment)
    assert jobs._threads(typed(*more).how, one_thread=tiny) == expected
    found = jobs._environment(expected, 4)
    assert (found["OMP_NUM_THREADS"], found["OMP_WAIT_POLICY"], found["LTBENCH_WORKERS"]) == (str(expected), "passive", "4")
    monkeypatch.setenv("LTBENCH_WORKERS", "7")
    assert jobs._environment(expected, 4)["LTBENCH_WORKERS"] == "7"  # whoever says how many gets as many


def test_options_of_sbatch_are_read_as_they_are_written() -> None:
    assert parse_slurm(["partition=gpu", "gpus_per_node=1", "--comment=a=b", "exclusive"]) == {
        "partition": "gpu", "gpus-per-node": "1", "comment": "a=b", "exclusive": True}


@pytest.mark.parametrize(("state", "restarts", "comes_back", "said"), [
    ("RUNNING", "0", True, "job 8_3 is requeued"),
    ("RUNNING", "99", True, "job 8_3 is requeued"),
    ("RUNNING", "100", False, "job 8_3 was requeued 100 times and is not once more: submit it again to go on"),
    ("COMPLETING", "0", False, "Slurm says that job 8_3 is COMPLETING: it is not requeued from here"),  # scancel
    ("", "0", False, "Slurm says that job 8_3 is gone: it is not requeued from here"),
])
def test_a_stopped_job_comes_back(state: str, restarts: str, comes_back: bool, said: str, tmp_path: Path,
                                  monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless Slurm is ending it anyway, or it never gets anywhere."""
    for name, text in (("squeue", f"echo {state}"), ("scontrol", f'echo "$@" > {tmp_path}/asked')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for name, value in {"SLURM_JOB_ID": "11", "SLURM_ARRAY_JOB_ID": "8", "SLURM_ARRAY_TASK_ID": "3",
                        "SLURM_RESTART_COUNT": restarts}.items():
        monkeypatch.setenv(name, value)

    def preempted(request: Request) -> int:
        raise Stopped(signal.SIGTERM)

    with pytest.raises(SystemExit, match="143"):
        ShardJob(preempted, typed())()
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["ltbench: stopped by SIGTERM; the same command goes on where this one stopped", f"ltbench: {said}"]
    assert (tmp_path / "asked").is_file() == comes_back
    if comes_back:
        assert (tmp_path / "asked").read_text() == "requeue 8_3\n"
