"""What ``ltbench run`` tells other processes, and how a job of Slurm comes back: without Slurm and without training."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from pathlib import Path

import pytest

from ltbench.cli.main import build_parser
from ltbench.cli.run import execute as execute_module
from ltbench.cli.run import jobs
from ltbench.cli.run.handover import packed, unpacked
from ltbench.cli.run.slurm import parse_slurm
from ltbench.cli.run.slurm_job import ShardJob
from ltbench.registry.discovery import load_registry
from ltbench.system.stopping import Stopped

TYPED = ["run", "--methods", "ce,ncm", "--out", "somewhere", "--jobs", "4"]


def test_what_was_typed_reaches_another_process() -> None:
    args = build_parser(load_registry(["analysis"])).parse_args(TYPED)
    there = unpacked(pickle.loads(pickle.dumps(packed(args, jobs=1))))
    assert (there.methods, there.out, there.jobs, args.jobs) == ("ce,ncm", Path("somewhere"), 1, 4)
    assert [info.name for info in there.registry.plugins if info.disabled] == ["analysis"]
    assert vars(args).keys() - vars(there).keys() == {"run"}


@pytest.mark.parametrize(("typed", "environment", "tiny", "expected"), [
    ([], None, False, 4),  # 16 cores for 4 jobs
    ([], None, True, 1),
    ([], "2", False, 2),
    ([], "16", True, 4),  # what a user set for the whole machine is divided
    (["--threads", "3"], "2", True, 3),
])
def test_threads_are_divided(typed: list[str], environment: str | None, tiny: bool, expected: int,
                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "cores", lambda: 16)
    monkeypatch.setattr(jobs, "data_workers", lambda: 16)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("LTBENCH_WORKERS", raising=False)
    if environment is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", environment)
    args = build_parser(load_registry()).parse_args([*TYPED, *typed])
    assert jobs._threads(args, tiny) == expected
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

    def preempted(args: object) -> int:
        raise Stopped(signal.SIGTERM)

    monkeypatch.setattr(execute_module, "execute", preempted)
    args = build_parser(load_registry()).parse_args(TYPED)
    with pytest.raises(SystemExit, match="143"):
        ShardJob(packed(args, shard="4/4"))()
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["ltbench: stopped by SIGTERM; the same command goes on where this one stopped", f"ltbench: {said}"]
    assert (tmp_path / "asked").is_file() == comes_back
    if comes_back:
        assert (tmp_path / "asked").read_text() == "requeue 8_3\n"


def test_bars_of_several_runs_stand_side_by_side(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from ltbench.registry.run_info import RunInfo
    from ltbench.running import progress

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    runs = [RunInfo("ce", "digits-lt@20", seed, seed + 1, 2) for seed in (0, 1)]
    for run in runs:
        progress.ltbench_epoch_end(run, 1, 1, 9, {"loss": 1.0})
    assert [bar[0] for bar in progress._bars] == runs
    record = {"timing": {"seconds": {"stage 1": 2.0, "data": 9.0}}, "status": "completed", "metrics": {"accuracy": {"all": 12.5}}}
    progress.ltbench_run_end(runs[0], record)
    assert [bar[0] for bar in progress._bars] == runs[1:]
    progress.ltbench_run_end(runs[1], record)
    assert progress._bars == {}
    assert "[1/2] ce on digits-lt@20, seed 0: 12.50 % (2.0 s)\n" in capsys.readouterr().err
