from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from ltbench.cli.main import main
from tests.support.real_records import Copy, fingerprint

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LTBENCH_DATA", raising=False)


def _out(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    capsys.readouterr()
    code = main(["check", *map(str, arguments)])
    told = capsys.readouterr()
    assert told.err == ""
    return code, told.out.splitlines()


def test_a_sound_folder(smoke_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = fingerprint(smoke_runs)
    code, lines = _out(capsys, smoke_runs)
    assert code == 0 and lines[-1].startswith("3 records: 0 refused, ")
    assert {line.split(": ")[2] for line in lines[:-1]} <= {"core.dirty", "core.commit"}  # as the tests are run
    assert fingerprint(smoke_runs) == before


@pytest.mark.slow
def test_boards_without_data_are_checked_as_far_as_they_go(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = _out(capsys, ROOT / "leaderboards" / "cifar100-lt")
    assert code == 0, lines
    assert sum("note: split: not rebuilt: " in line for line in lines) == int(lines[-1].split()[0]) >= 54


@pytest.mark.slow
def test_boards_with_data(cifar100_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = ROOT / "leaderboards" / "cifar100-lt"
    code, lines = _out(capsys, board, "--data-root", cifar100_root)
    assert code == 0 and lines[-1].endswith(" 0 notes"), lines
    assert all(": warning: stages[" in line and "has changed since" in line for line in lines[:-1])


def test_a_file_and_two_folders_of_which_one_lies_in_the_other(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    (copy.folder.parent / "README.md").write_text("a board's page")
    (copy.folder.parent / "board.json").write_text("[1]")  # made from the records, no record
    for paths in ([copy.json], [copy.folder], [copy.folder.parent], [copy.folder, copy.folder.parent, copy.json]):
        assert _out(capsys, *paths)[1][-1].startswith("1 record: 0 refused")


def test_other_json_is_left_alone_outside_of_boards(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    runs = copy.folder.rename(copy.folder.with_name("runs"))
    (runs / "package.json").write_text('{"name": "x"}')
    (runs / ".hidden").mkdir()
    (runs / ".hidden" / "x.json").write_text("{")
    (runs / "latest").symlink_to(runs)
    assert _out(capsys, runs)[1][-1].startswith("1 record: 0 refused")


def test_json(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    copy.change(metrics__ece=0.5, core__dirty=False, core__commit="ab" * 20)
    code, lines = _out(capsys, copy.folder, "--json")
    assert code == 1
    assert json.loads("\n".join(lines)) == [{"file": str(copy.json), "level": "error", "field": "metrics.ece",
                                             "message": "does not follow from the predictions"}]


def test_flags_are_warnings(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    next(copy.folder.glob("*.safetensors")).unlink()
    copy.change(core__dirty=True, selection="val", stages__1__methods__0__sources={"ltbench_baselines/crt.py": "0" * 64})
    code, lines = _out(capsys, copy.folder)
    assert code == 0
    told = [line.removeprefix(f"{copy.json}: warning: ") for line in lines[:-1]]
    assert told == [
        "core.dirty: its code had changes that no commit holds: nobody else can run it",
        "selection: val: not comparable with records of the last epoch",
        f"geometry: {copy.json.stem}.geometry.safetensors is not there: the figures of plugins cannot be computed again",
        "stages[1].methods[0].sources: ltbench_baselines/crt.py has changed since, here or there",
    ]
    copy.change(core__dirty=None, core__commit=None, external="ab" * 32, selection="last")
    code, lines = _out(capsys, copy.folder)
    assert code == 0
    assert any("warning: core.commit: must name a commit" in line for line in lines)
    assert any("warning: external: its first stage comes from elsewhere" in line for line in lines)
    assert any("note: key: not recomputed: its first stage comes from elsewhere" in line for line in lines)


def test_a_key_of_other_sources_is_not_judged(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    copy.change(key="0" * 64, stages__1__methods__0__sources={})
    assert _out(capsys, copy.folder)[0] == 0


def test_what_is_not_installed_is_a_note(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = _out(capsys, copy.folder, "--no-plugin", "baselines")
    assert code == 0 and any("note: stages: not planned again: unknown method 'ldam'" in line for line in lines)
    copy.change(task__dataset="elsewhere")
    code, lines = _out(capsys, copy.folder)
    assert code == 0
    assert [line.split(": ")[2] for line in lines if ": note: " in line] == ["split", "task.dataset"]


def test_fields_that_nobody_knows_are_allowed(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    copy.change(pretraining=None, more={"x": [1]}, split__unreadable={"train": 1, "test": 0, "sha256": "0"}, protocol__later=3)
    code, lines = _out(capsys, copy.folder)
    assert code == 0 and any("note: split: not rebuilt: images that could not be read were left out" in line for line in lines)


@pytest.mark.parametrize("arguments", [["absent.json"], ["."], []])
def test_wrong_use_is_exit_code_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
                                  arguments: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("ltbench: ") and told.err.count("\n") == 1


def test_a_folder_that_cannot_be_listed_is_named(copy: Copy, monkeypatch: pytest.MonkeyPatch,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    inner = copy.folder / "inner"
    shutil.copytree(copy.folder, inner)

    listed = os.listdir

    def deny(folder: Path) -> list[str]:
        if folder == inner:
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr("os.listdir", deny)
    code, lines = _out(capsys, copy.folder)
    assert code == 1 and lines[-2] == f"{inner}: cannot be read: Permission denied"
