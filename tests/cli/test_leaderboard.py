from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltbench.cli import leaderboard
from ltbench.errors import UserError
from ltbench.registry.discovery import load_registry
from ltbench.results.metrics import standard_metrics
from tests.support import record_factory


def _call(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    parser.set_defaults(registry=load_registry(strict=False))  # as the program does
    leaderboard.register(parser.add_subparsers(required=True))
    args = parser.parse_args(["leaderboard", *arguments])
    status: int = args.run(args)
    return status


def _write(directory: Path, name: str, **changes: Any) -> None:
    given = record_factory.predictions()
    record_factory.write(record_factory.record(given, **changes), given, directory, name)


def test_the_default_folder_is_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _write(tmp_path / "runs", "a")
    monkeypatch.chdir(tmp_path)
    assert _call() == 0
    out, err = capsys.readouterr()
    assert out.startswith("## digits-lt@20, common track") and "| ce " in out and err == ""


def test_folders_within_folders_count_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(tmp_path / "in", "a")
    _write(tmp_path, "b", task__seed=1)
    assert _call(str(tmp_path), str(tmp_path / "in"), "--format", "json") == 0
    assert [run["seed"] for run in json.loads(capsys.readouterr().out)[0]["rows"][0]["completed"]] == [0, 1]


def test_broken_files_are_named_and_the_rest_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(tmp_path, "a")
    (tmp_path / "b.json").write_text('{"schema": 1, "expression"')
    (tmp_path / "c.json").write_text('{"schema": 9}')
    assert _call(str(tmp_path)) == 1
    out, err = capsys.readouterr()
    assert "| ce " in out
    assert [line.split(":")[0] for line in err.splitlines()] == ["warning", "warning"]
    assert "b.json" in err and "schema must be 1, got 9" in err


def test_contradicting_records_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(tmp_path, "a")
    _write(tmp_path, "b", curve=[])
    _write(tmp_path, "c", expression="la")
    assert _call(str(tmp_path), "--format", "csv") == 1
    out, err = capsys.readouterr()
    assert "differ in curve: neither is used" in err and "a.json" in err and "b.json" in err
    assert len(out.splitlines()) == 2


def test_edited_figures_are_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(tmp_path, "a")
    _write(tmp_path, "b", task__seed=1, metrics__accuracy__all=99.0)
    assert _call(str(tmp_path), "--format", "json") == 1
    out, err = capsys.readouterr()
    assert [run["seed"] for run in json.loads(out)[0]["rows"][0]["completed"]] == [0]
    assert err == f"warning: record {tmp_path / 'b.json'}: metrics.accuracy.all does not follow from the predictions\n"
    (tmp_path / "a.npz").write_bytes(b"no predictions")
    with pytest.raises(UserError, match="record folder must hold at least one usable record"):
        _call(str(tmp_path))


def test_other_labels_of_one_split_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Classes 0 and 1 change their names in one record, in the labels and in the predictions: no figure of theirs moves."""
    given = record_factory.predictions(right=(3, 3, 1, 0))
    turned = {name: np.where(array < 2, 1 - array, array) for name, array in
              (("labels", given.labels), ("argmax", given.argmax))}
    other = replace(given, **turned)
    for name, seed, predicted in (("a", 0, given), ("b", 1, other)):
        record_factory.write(record_factory.record(predicted, task__seed=seed), predicted, tmp_path, name)
    _write(tmp_path, "c", split__hash="cd" * 32)
    assert _call(str(tmp_path), "--format", "json") == 1
    out, err = capsys.readouterr()
    assert "are of one split (abababababab) and differ in predictions.labels: neither is used" in err
    assert [table["splits"][0]["hash"][:2] for table in json.loads(out)] == ["cd"]


def test_records_without_their_predictions_are_shown_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(2):
        _write(tmp_path, f"a{seed}", task__seed=seed)
    (tmp_path / "a1.npz").unlink()
    assert _call(str(tmp_path)) == 0
    out, err = capsys.readouterr()
    assert "| ce " in out
    assert err == "warning: 1 of 2 records have no predictions beside them: their figures cannot be recomputed\n"


def test_out_is_written_as_utf8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = record_factory.predictions()
    counts = [101, 100, 20, 20]  # no class is few
    figures = standard_metrics(given, counts)
    record_factory.write(record_factory.record(given, split__class_counts=counts, metrics=figures), given, tmp_path, "a")
    assert _call(str(tmp_path), "--out", str(tmp_path / "table.md")) == 0
    assert "—" in (tmp_path / "table.md").read_bytes().decode("utf-8") and capsys.readouterr().out == ""
    with pytest.raises(UserError, match="--out must be a writable file"):
        _call(str(tmp_path), "--out", str(tmp_path / "nowhere" / "table.md"))


def test_missing_folders_and_records_are_the_users(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="record folder must exist, got .*nowhere"):
        _call(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="record folder must hold at least one usable record"):
        _call(str(tmp_path))


@pytest.mark.parametrize(("predicted", "imported"), [(False, "[]"), (True, "['numpy']")])
def test_nothing_heavy_is_imported(tmp_path: Path, predicted: bool, imported: str) -> None:
    """Predictions are arrays; one seed has not even an interval to compute."""
    _write(tmp_path, "a")
    if not predicted:
        (tmp_path / "a.npz").unlink()
    code = ("import sys; from ltbench.cli.main import main; main(sys.argv[1:]); "
            "print(sorted({'torch', 'numpy', 'scipy'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code, "leaderboard", str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == imported


def _board(root: Path, name: str) -> Path:
    folder = root / "leaderboards" / name
    folder.mkdir(parents=True)
    (folder / "board.toml").write_text('title = "x"\ntolerance = 1.0\n[[matrix]]\ndatasets = ["digits-lt"]\nmethods = ["ce"]\n'
                                       "seeds = [0]\n", encoding="utf-8")
    _write(folder / "results", "a")
    (root / "leaderboards" / "reported.csv").write_text("source\n", encoding="utf-8")
    return folder


def test_boards_are_regenerated_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    folder = _board(tmp_path, "one")
    _board(tmp_path, "two")
    monkeypatch.chdir(tmp_path)
    assert _call("--check") == 1
    assert not (folder / "board.json").exists()
    assert _call() == 0
    capsys.readouterr()
    assert _call("--check") == 0
    assert capsys.readouterr().out.splitlines() == [
        *(f"{name}: all 5 files are as its records say" for name in ("one", "two")),
        "the page over all boards: is as its records say"]
    index = tmp_path / "leaderboards" / "index.html"
    index.write_text("edited", encoding="utf-8")
    assert _call(str(folder)) == 0 and index.read_text(encoding="utf-8") == "edited"  # one board alone does not change it
    capsys.readouterr()
    assert _call("--check") == 1
    assert capsys.readouterr().out.splitlines()[-1] == "index.html is not as its records say"
    (folder / "board.csv").write_text("edited", encoding="utf-8")
    assert _call(str(folder), "--check") == 1
    assert capsys.readouterr().out.splitlines() == ["one/board.csv is not as its records say"]
    for arguments, said in (((str(folder), "--format", "csv"), "--format is for folders of records"),
                            ((str(folder), str(folder / "results")), "must not be mixed"),
                            ((str(folder / "results"), "--check"), "--check must be given boards")):
        with pytest.raises(UserError, match=said):
            _call(*arguments)


def test_the_difference_from_another_folder_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    folder = _board(tmp_path, "one")
    monkeypatch.chdir(tmp_path)
    assert _call() == 0
    _write(folder / "results", "b", expression="la")
    capsys.readouterr()
    assert _call("--diff", "leaderboards") == 0
    out = capsys.readouterr().out
    assert out.startswith("**one**: 1 row\n") and "| la " in out and "| ce " not in out
    assert ",la," not in (folder / "board.csv").read_text(encoding="utf-8")  # nothing is written
    with pytest.raises(UserError, match="--diff must be a folder of boards, got 'nowhere'"):
        _call("--diff", "nowhere")
