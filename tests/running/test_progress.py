"""A run is seen working: bars on a terminal, lines elsewhere, at the level that the user asks for."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.registry.run_info import RunInfo
from ltbench.running import progress
from ltbench.running.duration import duration
from tests.support import record_factory

RUNS = [RunInfo("ce", "digits-lt@20", seed, seed + 1, 2) for seed in (0, 1)]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LTBENCH_LOG", "info")
    clock = iter(range(0, 10_000, 4))  # every look at the clock is four seconds after the one before
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))  # type: ignore[attr-defined]
    progress.set_up_logging()
    yield
    progress._shown.clear()


@pytest.mark.parametrize(("seconds", "text"), [
    (0.4, "0 s"), (89.4, "89 s"), (90, "2 min"), (5340, "89 min"), (5400, "1 h 30 min"), (7200, "2 h"), (172_000, "47 h 47 min"),
    (172_800, "2 d"), (1_125_487, "13 d"), (1_200_000, "13 d 21 h"),
])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run = RUNS[0]
    progress.ltbench_run_start(run)  # at 0
    progress.ltbench_step(run, 1, 1, 9, 1, 10, 50)  # the stage begins at 4
    for epoch in (1, 2, 3):  # each looks whether a line is due, at 8, 16 and 24, and how fast it went, at 12, 20 and 28
        progress.ltbench_epoch_end(run, 1, epoch, 9, {"loss": 2.25, "rate": 1.0, "train_accuracy": 40.125})
    assert capsys.readouterr().err.splitlines() == [
        # Two epochs of 500 images in 20 - 4 seconds; the third line would come 8 seconds after this one.
        "[1/2] ce on digits-lt@20, seed 0: stage 1, epoch 2/9, loss 2.25, train accuracy 40.12, 62 images/s, 56 s left"]


def test_bars_of_several_runs_stand_side_by_side(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for run in RUNS:
        progress.ltbench_run_start(run)
        progress.ltbench_step(run, 1, 4, 9, 3, 10, 50)  # goes on in its fourth epoch
    bars = [progress._shown[run].bar for run in RUNS]
    assert [(bar.n, bar.total, bar.initial) for bar in bars] == [(1650, 4500, 1500)] * 2
    assert bars[0].desc == "[1/2] ce on digits-lt@20, seed 0, stage 1, epoch 4/9"
    progress.ltbench_step(RUNS[0], 2, 1, 2, 1, 4, 25)  # a stage after it has a bar of its own length
    assert (bars[0].n, bars[0].total) == (25, 200)
    record = record_factory.model(timing__seconds={"stage 1": 2.0, "data": 9.0})
    progress.ltbench_run_end(RUNS[0], record)
    assert list(progress._shown) == RUNS[1:]
    progress.ltbench_run_end(RUNS[1], record)
    assert progress._shown == {}
    assert "[1/2] ce on digits-lt@20, seed 0: 50.00 % (2.0 s)\n" in capsys.readouterr().err


def test_a_figure_over_fewer_classes_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    record = record_factory.model(timing__seconds={"stage 1": 2.0}, split__test_counts=[3, 3, 3, 0])
    progress.ltbench_run_end(RUNS[0], record)
    assert capsys.readouterr().err == ("[1/2] ce on digits-lt@20, seed 0: 50.00 % over 3 of 4 classes (few 0 of 1): the others "
                                       "have no test image (2.0 s)\n")


@pytest.mark.parametrize(("options", "lines"), [
    (["--quiet"], []),
    ([], ["1 run on cpu", "[1/1] ce on digits-lt@20, seed 0: ", "the records are in "]),
    (["-v"], ["1 run on cpu", "[1/1] ce on digits-lt@20, seed 0: stage 1, epoch 1/2, loss ",
              "[1/1] ce on digits-lt@20, seed 0: stage 1, epoch 2/2, loss ",
              "[1/1] ce on digits-lt@20, seed 0: ", "the records are in "]),
])
def test_levels(options: list[str], lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress.time, "monotonic", lambda: 0.0)  # type: ignore[attr-defined]  # nothing takes long
    where = ["--out", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    assert main(["run", "--protocol", "smoke", "--methods", "ce", "--seeds", "0", "--cpu", *where, *options]) == 0
    captured = capsys.readouterr()
    said = captured.err.splitlines()
    assert len(said) == len(lines) and all(line.startswith(start) for line, start in zip(said, lines, strict=True)), said
    assert captured.out.startswith("## digits-lt@20")  # results are no talk
    (record,) = (tmp_path / "runs").glob("*.json")
    assert json.loads(record.read_text())["status"] == "completed"


def test_a_level_that_does_not_exist(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LTBENCH_LOG", "loud")
    assert main(["run", "--methods", "ce"]) == 2
    assert capsys.readouterr().err == "ltbench: LTBENCH_LOG must be one of warning, info, debug, got 'loud'\n"


def test_a_program_with_a_place_of_its_own_keeps_it(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    log = logging.getLogger("ltbench")
    monkeypatch.setattr(log, "handlers", [caplog.handler])
    monkeypatch.setattr(log, "level", logging.ERROR)
    progress.set_up_logging()
    assert log.handlers == [caplog.handler] and log.level == logging.ERROR
