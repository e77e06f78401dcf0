"""``--splits`` from the command to the record, the tables, the check and back to a command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ltbench
from ltbench.cli.main import main
from ltbench.results import records
from ltbench.results.command import command_of

ASKED = ["run", "--methods", "ce", "--dataset", "digits-lt", "--seeds", "0", "--protocol", "smoke", "--cpu"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two runs that differ in nothing but where many, medium and few part."""
    folder = tmp_path_factory.mktemp("splits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LTBENCH_CACHE", str(folder / "cache"))
        for more in ([], ["--splits", "9,7"]):
            assert main([*ASKED, *more, "--out", str(folder / "runs")]) == 0
        yield folder / "runs"


def _records(folder: Path) -> dict[Any, tuple[Path, ltbench.Record]]:
    stored, problems = records.read_directory(folder)
    assert problems == []
    return {item.record.protocol.splits and tuple(item.record.protocol.splits): item for item in stored}


def test_a_run_of_its_own_from_the_same_stage(runs: Path) -> None:
    found = _records(runs)
    assert set(found) == {None, (9, 7)}
    (_, usual), (_, other) = found[None], found[9, 7]
    assert [stage.key for stage in usual.stages] == [stage.key for stage in other.stages] and usual.key != other.key
    assert other.timing.reused == {"stage 1": True}
    assert usual.predictions is not None and other.predictions is not None
    assert usual.predictions.sha256 == other.predictions.sha256
    assert "splits" not in usual.protocol.as_dict()


def test_figures_are_by_the_bounds(runs: Path) -> None:
    _, record = _records(runs)[9, 7]
    assert record.metrics is not None and record.per_class is not None
    counts = record.split.class_counts
    assert counts == [10, 10, 10, 10, 10, 10, 10, 10, 8, 6]
    share = [100 * right / total for right, total in zip(record.per_class.correct, record.per_class.total, strict=True)]
    assert record.metrics.accuracy.many == pytest.approx(sum(share[:8]) / 8)
    assert (record.metrics.accuracy.medium, record.metrics.accuracy.few) == pytest.approx((share[8], share[9]))


def test_they_never_share_a_table(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(runs)]) == 0
    headings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("## ")]
    assert len(headings) == 2
    assert sorted(", many > 9, few < 7" in line for line in headings) == [False, True]


def test_a_record_is_shown_and_checked_with_its_bounds(runs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path, _ = _records(runs)[9, 7]
    assert main(["show", str(path)]) == 0
    assert "many > 9, few < 7 training images of the class" in capsys.readouterr().out.splitlines()
    assert main(["check", str(runs)]) == 0
    content = json.loads(path.read_text())
    (tmp_path / path.with_suffix(".npz").name).write_bytes(path.with_suffix(".npz").read_bytes())
    for bounds, said in (([9, 8], "key: does not follow"), ([5, 5], "metrics.accuracy.")):  # from 7 to 8 no class moves
        content["protocol"]["splits"] = bounds
        for stage in content["stages"]:
            stage["protocol"]["splits"] = bounds
        (tmp_path / path.name).write_text(json.dumps({**content, "geometry": None}))
        assert main(["check", str(tmp_path)]) == 1
        assert said in capsys.readouterr().out
    content["protocol"]["splits"] = [7, 9]
    (tmp_path / path.name).write_text(json.dumps(content))
    assert main(["check", str(tmp_path)]) == 1
    assert "protocol.splits must be two whole numbers" in capsys.readouterr().out


def test_rows_of_other_bounds_are_not_compared(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _records(runs)
    assert main(["compare", str(found[None][0]), str(found[9, 7][0])]) == 2
    assert "must be equal, got protocol.splits None and [9, 7]" in capsys.readouterr().err


def test_the_command_of_a_record_asks_for_them(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, record = _records(runs)[9, 7]
    assert command_of(record) == "ltbench run --methods ce --dataset digits-lt@20 --seeds 0 --protocol smoke --splits 9,7"
    assert main(["reproduce", str(path), "--dry-run"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("--splits 9,7")


def test_bad_bounds_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for typed in ("50", "10,50", "50,0", "a,b"):
        assert main([*ASKED, "--splits", typed]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("ltbench: --splits must be two whole numbers, many above the first") and f"got '{typed}'" in line
    assert main(["run", "--board", "leaderboards/digits-lt", "--splits", "50,10"]) == 2
    assert "leave out --splits" in capsys.readouterr().err


def test_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    runs = ltbench.run(methods="ce", seeds=0, protocol="smoke", cpu=True, splits=(9, 7), out=tmp_path / "runs")
    assert runs.records[0].protocol.splits == [9, 7]
    with pytest.raises(ltbench.UserError, match="--splits must be two whole numbers"):
        ltbench.run(methods="ce", seeds=0, splits=[50], out=tmp_path / "runs")


def test_counts_of_a_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "stats", "digits-lt", "--splits", "50,10"]) == 0
    # 120, 86, 61, 44, 31, 22, 16, 11, 8, 6
    assert "many / medium / few classes: 3 / 5 / 2 (many > 50, few < 10)" in capsys.readouterr().out.splitlines()
