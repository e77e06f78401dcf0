"""What cannot be spread over processes or machines is refused in one line, before anything is planned or written."""

from __future__ import annotations

import builtins
import shutil
from pathlib import Path
from typing import Any

import pytest

from ltbench.cli.main import main
from ltbench.system.settings import cores

CORES = cores()
SMOKE = ["run", "--cpu", "--protocol", "smoke", "--seeds", "0", "--methods", "ce,ncm"]


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*SMOKE, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("ltbench: ") and captured.err.count("\n") == 1, captured.err
    return captured.err.removeprefix("ltbench: ").strip()


@pytest.mark.parametrize(("arguments", "message"), [
    (["--jobs", "0"], "--jobs must be > 0, got 0"),
    (["--jobs", "-2"], "--jobs must be > 0, got -2"),
    (["--jobs", "two"], "argument --jobs: invalid int value: 'two'"),
    (["--jobs", "2", "--threads", str(CORES)], f"--threads of 2 jobs must be at most {CORES // 2}, their share of {CORES} cores"),
    (["--shard", "0/2"], "--shard must be I/N with 1 <= I <= N, got '0/2'"),
    (["--shard", "2"], "--shard must be I/N with 1 <= I <= N, got '2'"),
    (["--wait"], "--wait needs --launcher slurm"),
    (["--slurm", "partition=gpu"], "--slurm needs --launcher slurm"),
    (["--slurm-jobs", "2"], "--slurm-jobs needs --launcher slurm"),
    (["--launcher", "pbs"], "argument --launcher: invalid choice: 'pbs'"),
    (["--launcher", "slurm", "--shard", "1/2"], "--launcher makes the shards: leave out --shard"),
    (["--launcher", "slurm", "--slurm-jobs", "0"], "--slurm-jobs must be > 0, got 0"),
    (["--launcher", "slurm", "--slurm", "=1"], "--slurm must be KEY=VALUE, an option of sbatch, got '=1'"),
    (["--launcher", "slurm", "--slurm", "time="], "--slurm must be KEY=VALUE, an option of sbatch, got 'time='"),
    (["--launcher", "slurm", "--slurm", "array=1-3"], "--slurm array is set by the launcher; leave it out"),
    (["--launcher", "slurm", "--slurm", "mem=1G", "--slurm", "mem=2G"], "--slurm mem stands twice"),
    (["--launcher", "slurm", "--slurm", "array=1-3", "--dry-run"], "--slurm array is set by the launcher; leave it out"),
    (["--precision", "fp16"], "processes or precision fp16 do not work here: fp16 needs a GPU"),
])
def test_one_line(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                  capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refusal(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_jobs_and_ranks_do_not_mix(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert refusal(capsys, "--jobs", "2") == "--jobs must be 1 where torchrun runs 2 processes, got 2"


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    original = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "submitit":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert refusal(capsys, "--launcher", "slurm") == "--launcher slurm needs submitit: pip install 'ltbench[slurm]'"


def test_a_machine_without_slurm_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("submitit")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert refusal(capsys, "--launcher", "slurm") == "--launcher slurm needs srun and sbatch, which are not on this machine"


def test_an_empty_shard_is_told_so_and_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*SMOKE, "--shard", "3/3"]) == 0
    assert capsys.readouterr().err == "shard 3/3 is empty: the matrix has fewer runs than shards\n"


@pytest.mark.slow
def test_shards_make_the_records_of_the_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    assert main([*SMOKE, "--shard", "1/2"]) == 0
    assert len(list((tmp_path / "runs").glob("*.json"))) == 1
    assert main([*SMOKE, "--shard", "2/2"]) == 0
    assert len(list((tmp_path / "runs").glob("*.json"))) == 2
