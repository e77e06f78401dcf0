from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.results import records
from tests.support.real_records import Copy


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["reproduce", *map(str, arguments)])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_record_is_reproduced_bit_for_bit(smoke_runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = next(smoke_runs.glob("*_s0_*.json"))
    code, out, _ = _run(capsys, path, "--out", tmp_path / "again", "--cpu")
    assert code == 0
    assert out.startswith("ltbench run --methods ldam/crt --dataset digits-lt@20 --seeds 0 --protocol smoke\n")
    assert out.endswith("reproduced: every prediction is equal\n")
    assert "records equal: yes\npredictions equal: yes\n" in out
    assert "interval for one more run, from 2 other seeds: " in out  # of the folder
    again = tmp_path / "again" / path.name
    assert again.with_suffix(".npz").read_bytes() == path.with_suffix(".npz").read_bytes()
    assert records.equal(records.read(again), records.read(path)) == []
    assert records.read(again).timing.reused == {"stage 1": False, "stage 2": False}  # trained anew


def test_an_edited_accuracy_is_told_apart(copy: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accuracy = copy.record()["metrics"]["accuracy"]["all"]
    copy.change(metrics__accuracy__all=accuracy + 1)
    code, out, err = _run(capsys, copy.json, "--out", tmp_path / "again", "--cpu")
    assert code == 1
    assert err.startswith(f"warning: record {copy.json}: metrics.accuracy.all ")  # before it was run
    assert f"accuracy all: recorded {accuracy + 1:.2f}, now {accuracy:.2f}, difference -1.00\n" in out
    assert out.endswith("not reproduced: equal predictions do not give metrics.accuracy.all as the record has it\n")


@pytest.mark.slow
def test_other_predictions_without_other_seeds_are_not_reproduced(copy: Copy, smoke_runs: Path, tmp_path: Path,
                                                                  capsys: pytest.CaptureFixture[str]) -> None:
    """The record of another seed, passed off as this one's: alone it is refuted, beside its row it may be chance."""
    other = next(smoke_runs.glob("*_s1_*.json"))
    shutil.copy(other.with_suffix(".npz"), copy.npz)
    copy.forge()
    code, out, _ = _run(capsys, copy.json, "--out", tmp_path / "again", "--cpu")
    assert code == 1 and "predictions equal: no\n" in out
    assert out.endswith("are needed to say by how much they may, got 0\n")


def test_a_dry_run_prints_the_command(copy: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _run(capsys, copy.json, "--out", tmp_path / "again", "--dry-run")
    assert (code, err) == (0, "")
    assert out == "ltbench run --methods ldam/crt --dataset digits-lt@20 --seeds 0 --protocol smoke\n"
    assert not (tmp_path / "again").exists()


def test_changed_sources_and_machines_are_said(copy: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    copy.change(stages__0__methods__0__sources={}, environment__device="NVIDIA H100", environment__libraries={"torch": "1.0"},
                environment__compiled=True)
    monkeypatch.setenv("CXX", "no-such-compiler")  # else it would be compiled as it was
    options = ["--out", tmp_path / "again", "--cpu", "--threads", "1", "--cache", tmp_path / "cache"]
    code, out, err = _run(capsys, copy.json, *options)
    assert code == 0
    assert "warning: stages[0].methods[0].sources: ltbench_baselines/ldam.py has changed since\n" in err
    assert "note: compiled was True, and is False\n" in out
    assert "note: device was NVIDIA H100, and is cpu\n" in out and "and was another version\n" in out
    assert (tmp_path / "cache").is_dir() and not (tmp_path / "again" / ".stages").exists()


@pytest.mark.parametrize(("changes", "words"), [
    ({"external": "ab" * 32}, "cannot be run again: its first stage comes from elsewhere"),
    ({"task__dataset": "elsewhere"}, "cannot be run again: unknown dataset 'elsewhere'"),
    ({"protocol__name": "best"}, "cannot be run again: unknown protocol of 'digits-lt' 'best'"),
    ({"expression": "nobody/crt"}, "cannot be run again: unknown method 'nobody'"),
    ({"expression": "ldam(scale=2)/crt"}, "hyperparameters.scale must be 2.0 as the expression says, got 30.0"),
    ({"status": "failed", "reason": "x", "metrics": None}, "cannot be run again: a failed run says nothing"),
])
def test_what_cannot_be_run_again_is_one_line(copy: Copy, capsys: pytest.CaptureFixture[str], tmp_path: Path,
                                              changes: dict[str, object], words: str) -> None:
    copy.change(**changes)
    code, out, err = _run(capsys, copy.json, "--out", tmp_path / "again")
    assert (code, out) == (2, "") and err.count("\n") == 1 and words in err
    assert not (tmp_path / "again").exists()


def test_several_processes_are_refused(copy: Copy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, _, err = _run(capsys, copy.json)
    assert code == 2 and "must run in one process, got WORLD_SIZE=2" in err


def test_what_run_refuses_is_one_line(copy: Copy, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = _run(capsys, copy.json, "--out", tmp_path / "again", "--threads", "0")
    assert code == 2 and err == "ltbench: --threads must be > 0, got 0\n"


def test_the_records_own_folder_is_refused(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = _run(capsys, copy.json, "--out", copy.folder)
    assert code == 2 and "--out must be another folder than the record's" in err
