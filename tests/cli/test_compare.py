from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ltbench.cli.main import main
from tests.support import record_factory

BOARD = Path(__file__).resolve().parents[2] / "leaderboards" / "cifar100-lt"


def _write(directory: Path, name: str, right: tuple[int, int, int, int] = (3, 2, 1, 0), **changes: Any) -> Path:
    given = record_factory.predictions(right=right)
    return record_factory.write(record_factory.record(given, **changes), given, directory, name)


def _refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    return err.removeprefix("ltbench: ").rstrip("\n")


def test_a_real_board(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "ce/ncm", "ce/lncm", "--board", str(BOARD), "--classes", "1"]) == 0
    out, err = capsys.readouterr()
    first = "A: ce/ncm\n"
    lines = [first.strip(), *next(part for part in out.split(first)[1:] if ", quick protocol, " in part).splitlines()]
    assert lines[:2] == ["A: ce/ncm", "B: ce/lncm"] and err == ""
    assert lines[3] == "paired over seeds 0, 1, 2 of split seed 0; 10,000 test images"
    # The board's README: 29.0, 29.9 and +0.9; the widths as of the draws with seed 0.
    assert lines[8].split() == ["all", "28.99", "29.90", "+0.91", "+0.46", "to", "+1.36", "<", "0.0001"]
    assert [line.split()[:3] for line in lines if line[:2].isdigit()] == [["68", "road", "21"], ["52", "oak_tree", "44"]]


def test_one_seed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _write(tmp_path / "runs", "a")
    _write(tmp_path / "runs", "b", (3, 2, 1, 3), expression="la")
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "ce", "la", "--classes", "0"]) == 0
    out = capsys.readouterr().out
    assert "one seed: no interval and no p-value, for nothing is known of other seeds" in out.splitlines()
    # 6 and 9 of 12, in percent.
    assert ["all", "50.00", "75.00", "+25.00", "—", "—"] in [line.split() for line in out.splitlines()]
    assert "classes that" not in out


def test_files_of_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = _write(tmp_path, "a"), _write(tmp_path, "b", (3, 2, 1, 3), expression="la")
    assert main(["compare", str(first), str(second), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["first"], found["second"], found["runs"], found["resamples"]) == ("ce", "la", [[0, 0]], 0)
    assert found["differences"][0] == {"split": "all", "first": 50.0, "second": 75.0, "value": 25.0, "interval": None, "p": None}
    assert found["gaining"] == [{"label": 3, "name": None, "training_images": 19, "first": 0.0, "second": 100.0, "change": 100.0}]
    assert main(["compare", str(first), "la", "--records", str(tmp_path)]) == 0  # a file and an expression


def test_every_set_of_terms_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for ratio in (20.0, 50.0):
        for expression in ("ce", "la"):
            _write(tmp_path, f"{expression}{ratio}", expression=expression, task__imbalance_ratio=ratio)
    assert main(["compare", "ce", "la", "--records", str(tmp_path)]) == 0
    headings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("digits-lt")]
    assert [line.partition(",")[0] for line in headings] == ["digits-lt@20", "digits-lt@50"]


def test_broken_records_are_named_and_the_rest_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(tmp_path, "a")
    _write(tmp_path, "b", expression="la")
    (tmp_path / "c.json").write_text('{"schema": 9}')
    assert main(["compare", "ce", "la", "--records", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("A: ce\n") and err.startswith("warning: record ") and "schema must be 1, got 9" in err


def test_refusals_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = _write(tmp_path, "a")
    _write(tmp_path, "b", expression="la", precision="bf16")
    here = ["--records", str(tmp_path)]
    assert _refusal(capsys, "ce", "la", *here) == "terms of 'ce' and 'la' must be equal, got precision fp32 and bf16"
    assert _refusal(capsys, "lb+x", "la", *here) == "unknown method among the records 'lb+x'; Known: ce, la"
    assert _refusal(capsys, "ce", "la", *here, "--classes", "-1") == "--classes must be >= 0, got -1"
    assert _refusal(capsys, "ce", "la", "--records", "nowhere") == "record folder must exist, got nowhere"
    assert "cannot be read: No such file" in _refusal(capsys, str(tmp_path / "none.json"), str(a))
    (tmp_path / "empty").mkdir()
    assert "must hold at least one completed run" in _refusal(capsys, "ce", "la", "--records", str(tmp_path / "empty"))
    failed = record_factory.write(record_factory.broken("failed"), None, tmp_path, "failed")
    assert _refusal(capsys, str(a), str(failed)).endswith("must be of a completed run, got a failed one")
    assert "not allowed with" in _refusal(capsys, "ce", "la", *here, "--board", str(BOARD))


def test_tampered_predictions_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = _write(tmp_path, "a")
    record_factory.predictions(right=(3, 3, 3, 3)).save(tmp_path / "a.npz")
    assert "does not follow from the predictions" in _refusal(capsys, str(a), str(a))
    (tmp_path / "a.npz").unlink()
    assert "cannot be read: No such file" in _refusal(capsys, str(a), str(a))


def test_a_hostile_name_moves_no_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = _write(tmp_path, "a", expression="ce\x1b[2J\n<script>")
    assert main(["compare", str(a), str(a)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "A: ce [2J <script>"
    _write(tmp_path, "b", expression="la", precision="fp32\n\x1b[2J")
    assert _refusal(capsys, "cd", "la", "--records", str(tmp_path)).endswith("Known: ce [2J <script>, la")
    assert _refusal(capsys, str(a), "la", "--records", str(tmp_path)).endswith("got precision fp32 and fp32  [2J")
