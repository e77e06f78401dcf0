"""``ltbench board new`` and ``ltbench report``: a board in one command, and a page without one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.leaderboard.board import read_board
from ltbench.registry import sources
from tests.support import record_factory
from tests.support.blocks import blocks_of

NEW = ["board", "new", "mine", "--methods", "ce,la", "--protocol", "smoke", "--seeds", "0,1"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    no_checkout = {"version": "0", "commit": None, "dirty": None}
    monkeypatch.setattr("ltbench.running.description.sources.core_version", lambda: no_checkout)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main([*arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("ltbench: ") and said.count("\n") == 1
    return said.removeprefix("ltbench: ").strip()


def test_from_new_to_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*NEW, "--title", "My digits"]) == 0
    assert sorted(os.listdir("mine")) == [".gitignore", ".nojekyll", "README.md", "board.toml"]
    assert "ltbench run --board mine   # 4 runs;" in capsys.readouterr().out
    board = read_board(Path("mine"))
    assert (board.name, board.title, board.tolerance) == ("mine", "My digits", 1.0)
    assert refusal(capsys, "leaderboard", "mine") == ("board 'mine' cannot be published: 'mine/results' holds no record; "
                                                      "ltbench run --board mine makes them")
    assert main(["run", "--board", "mine", "--cpu", "--cache", "cache", "--keep", "nothing"]) == 0
    assert main(["check", "mine"]) == 0
    os.chdir("mine")
    assert main(["leaderboard", "."]) == 0 and main(["leaderboard", ".", "--check"]) == 0
    assert "| la " in Path("README.md").read_text() and "My digits" in Path("index.html").read_text()
    capsys.readouterr()
    assert main(["report", "."]) == 0 and capsys.readouterr().out == "report.html written\n"
    assert "<title>mine" in Path("report.html").read_text()
    assert main(["leaderboard", ".", "--check"]) == 0


def test_methods_of_a_file_lie_with_the_board() -> None:
    (method,) = (block for block in blocks_of("docs/writing-a-method.md") if block.title == "my_la.py")
    Path("board_la.py").write_text(method.text, encoding="utf-8")
    typed = ["--plugin", "board_la.py", "--methods", "my_la", "--protocol", "smoke", "--seeds", "0"]
    assert main(["board", "new", "boards/mine", *typed]) == 0
    toml = Path("boards/mine/board.toml")
    assert 'plugin = ["board_la.py"]' in toml.read_text()
    del sys.modules["board_la"]  # as in another process
    sys.path.remove(os.getcwd())
    Path("board_la.py").unlink()
    assert main(["run", "--board", "boards/mine", "--dry-run"]) == 0
    del sys.modules["board_la"]
    sys.path.remove(str(toml.parent.resolve()))
    os.chdir("boards/mine")
    assert main(["run", "--board", ".", "--dry-run"]) == 0


def test_from_a_file_and_without_methods() -> None:
    assert main(["config", "--methods", "la", "--protocol", "smoke", "--seeds", "0", "--out", "x", "--to", "e.toml"]) == 0
    assert main(["board", "new", "mine", "--config", "e.toml", "--tolerance", "2"]) == 0
    assert Path("mine/board.toml").read_text() == ('title = "mine"\ntolerance = 2.0\n\n[[matrix]]\nmethods = ["la"]\n'
                                                   'datasets = ["digits-lt"]\nseeds = [0]\nprotocol = "smoke"\n')
    assert main(["board", "new", "another"]) == 0
    assert read_board(Path("another")).requests[0].what.methods == ("ce",)


def test_what_is_refused_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("full").mkdir()
    Path("full/x").touch()
    for arguments, said in ((["full"], "FOLDER must be new or empty, got 'full'"),
                            (["mine", "--methods", "cee"], "unknown method 'cee'; did you mean 'ce'"),
                            (["mine", "--jobs", "2"], "--jobs is no part of a board"),
                            (["mine", "--out", "x"], "--out is no part of a board"),
                            (["mine", "--board", "x"], "--board is another board's: type --config x/board.toml"),
                            (["mine", "--tolerance", "0"], "tolerance of the command must be > 0, got 0")):
        assert refusal(capsys, "board", "new", *arguments).startswith(said)
    assert os.listdir() == ["full"]


def test_a_changed_checkout_is_told_before_the_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*NEW, "--title", "x"]) == 0
    monkeypatch.setattr("ltbench.cli.run.told.core_version", lambda: {"dirty": True})
    assert main(["run", "--board", "mine", "--dry-run"]) == 0
    assert "warning: this ltbench has changes that no commit holds" in capsys.readouterr().err
    assert sources.core_version() is not None


def test_a_report_names_what_it_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    given = record_factory.predictions()
    for seed in range(2):
        record_factory.write(record_factory.record(given, task__seed=seed), given, Path("runs"), f"ce{seed}")
    assert main(["report"]) == 0 and Path("runs/report.html").stat().st_size > 50_000
    record_factory.write(record_factory.record(given, task__seed=2, metrics__ece=0.9), given, Path("runs"), "edited")
    Path("runs/broken.json").write_text('{"schema": 9}')
    capsys.readouterr()
    assert main(["report", "-o", "page.html", "--title", "<b>Hello</b>"]) == 1
    out, err = capsys.readouterr()
    assert out == "page.html written\n" and "&lt;b&gt;Hello" in Path("page.html").read_text()
    assert "broken.json" in err and "edited.json: metrics.ece does not follow from the predictions" in err
    assert err.count("\n") == 2
    Path("none").mkdir()
    assert refusal(capsys, "report", "none") == "a report must have at least one usable record, got none"
    assert refusal(capsys, "report", "no") == "record folder must exist, got no"
    Path("runs/broken.json").unlink()
    Path("runs/edited.json").unlink()
    assert refusal(capsys, "report", "-o", "no/x.html") == ("--out must be a writable file, got 'no/x.html': No such file or "
                                                            "directory")
