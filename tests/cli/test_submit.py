"""``ltbench submit``: what a pull request holds, and what its check will say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ltbench.cli import submit as verb
from ltbench.cli.main import main
from ltbench.leaderboard.board import read_board

BOARD = Path(__file__).resolve().parents[2] / "leaderboards" / "digits-lt"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A board that holds ``ce`` and ``mixup``, and beside it a folder with the real records of ``la``."""
    monkeypatch.chdir(tmp_path)
    for name, folder in (("ce", "boards/digits/results"), ("mixup", "boards/digits/results"), ("la", "runs")):
        Path(folder).mkdir(parents=True, exist_ok=True)
        for path in sorted((BOARD / "results").glob(f"digits-lt@20-quick-{name}_s*")):
            shutil.copy(path, folder)
    shutil.copy(BOARD / "board.toml", "boards/digits")
    assert main(["leaderboard", "boards/digits"]) == 0
    return tmp_path / "runs"


def submit(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    capsys.readouterr()
    assert main(["submit", "runs", "--board", "boards/digits", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.err.count("\n") == (code == 2)
    return captured.out + captured.err


def test_records_are_copied_and_the_board_follows(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit(capsys, 0, "--dry-run").endswith("3 new records\nnothing was copied\n")
    said = submit(capsys, 0)
    assert "6 files copied to boards/digits/results" in said and "boards/digits/index.html written" in said
    assert "**digits**: 1 row\n" in said and "| la " in said
    steps = [line.strip() for line in said.partition("Next, in the repository of the board:")[2].splitlines() if line.strip()]
    assert [step.partition(" boards/digits")[0] for step in steps[:4]] == ["git add", "git add", "ltbench check",
                                                                          "ltbench leaderboard"]
    assert main(["check", "boards/digits"]) == 0 and main(["leaderboard", "boards/digits", "--check"]) == 0
    assert submit(capsys, 0) == "0 new records; 3 are on the board already\nnothing was copied: the board holds all of them\n"


def test_what_the_check_would_refuse_is_not_copied(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third = sorted(runs.glob("*.json"))
    value = json.loads(first.read_text())
    value["metrics"]["ece"] = 0.5
    first.write_text(json.dumps(value))
    value = json.loads(second.read_text())
    value["core"]["dirty"] = True
    second.write_text(json.dumps(value))
    said = submit(capsys, 1)
    assert f"runs/{first.name}: metrics.ece: does not follow from the predictions" in said
    assert f"runs/{second.name}: core.dirty: its code had changes that no commit holds: run it again from a commit" in said
    assert said.count("core.dirty") == 1 and said.endswith("the check of a pull request would refuse these records\n")
    assert not list(Path("boards/digits/results").glob("*-la_*"))


def test_another_record_of_a_run_that_is_there_is_refused(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = min(Path("boards/digits/results").glob("*quick-ce_s*.json"))
    value = json.loads(mine.read_text())
    value["curve"][0]["loss"] = 1.0
    (runs / mine.name).write_text(json.dumps(value))
    shutil.copy(mine.with_suffix(".npz"), runs)
    assert f"runs/{mine.name} and " in (said := submit(capsys, 1)) or f"records boards/digits/results/{mine.name} and " in said
    assert "differ in curve[0].loss: neither is used" in said


def test_what_is_not_of_the_board_is_left_out(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = Path("boards/digits/board.toml")
    toml.write_text(toml.read_text().replace('"la", ', ""))
    other = next(BOARD.parent.glob("cifar100-lt/results/*-quick-ce_s0_*.json"))
    for path in other.parent.glob(f"{other.stem}*"):
        shutil.copy(path, runs)
    said = submit(capsys, 0, "--dry-run")
    assert "left out: 1 record: cifar100-lt is not of this board" in said
    assert "note: board.toml does not ask for la (common track, quick protocol)" in said
    shutil.rmtree(runs)
    runs.mkdir()
    assert "FOLDER must hold a completed run of digits-lt, got none in 'runs'" in submit(capsys, 2)


def test_the_page_over_all_boards_follows(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("boards").rename("leaderboards")
    assert main(["leaderboard"]) == 0
    capsys.readouterr()
    assert main(["submit", "runs", "--board", "leaderboards/digits"]) == 0
    said = capsys.readouterr().out
    assert "leaderboards/index.html written" in said
    assert "git add leaderboards/digits leaderboards/index.html && git commit" in said
    assert main(["leaderboard", "--check"]) == 0


def test_what_else_the_repository_makes_of_its_boards_is_named(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("boards").rename("leaderboards")
    Path("tools").mkdir()
    Path("tools/board_pages.py").touch()
    capsys.readouterr()
    verb._next(read_board(Path("leaderboards/digits")))
    steps = [line.strip() for line in capsys.readouterr().out.splitlines()]
    first = steps.index("git add leaderboards/digits/results && git commit -m 'Records for digits'")
    assert steps[first + 1] == "python tools/board_pages.py"
    assert steps[first + 2].startswith("git add leaderboards/digits README.md docs && git commit")
