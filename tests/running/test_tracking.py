from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ltbench.cli.main import main
from ltbench.registry.run_info import RunInfo
from ltbench.results import records
from ltbench.running.tracking import Tracking
from tests.cli.test_run import refusal

RUN = ["run", "--cpu", "--protocol", "smoke", "--seeds", "0"]
# A stand-in that is imported as wandb is: it writes down what it is told.
WANDB = '''
import json

def write(*said):
    with open("wandb.jsonl", "a") as file:
        file.write(json.dumps(said) + "\\n")

class Run:
    def log(self, values, step=None):
        if FAILS:
            raise OSError("no network")
        write("log", values, step)

    def finish(self):
        write("finish")

class Config:
    def update(self, values, allow_val_change):
        write("config", values)

config = Config()

def init(**options):
    write("init", options)
    return Run()
'''


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working stand-in for wandb."""
    _install(tmp_path, monkeypatch, fails=False)


def _install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool) -> None:
    (folder / "modules").mkdir()
    (folder / "modules" / "wandb.py").write_text(f"FAILS = {fails}\n{WANDB}")
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.syspath_prepend(str(folder / "modules"))


def _said() -> list[list[Any]]:
    return [json.loads(line) for line in Path("wandb.jsonl").read_text().splitlines()]


def _events(name: str) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (folder,) = Path("tracking").glob(f"*-{name}_s0_*")
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def _record(folder: str = "runs") -> records.Record:
    return records.read_directory(Path(folder))[0][0].record


def test_tensorboard_has_one_run_for_each_with_curve_settings_and_result() -> None:
    assert main([*RUN, "--methods", "la,la/crt", "--track-with", "tensorboard", "--out", "tracked"]) == 0
    found = {item.record.expression: item.record for item in records.read_directory(Path("tracked"))[0]}
    assert len(list(Path("tracking").iterdir())) == 2
    for name, record in (("la", found["la"]), ("la-crt", found["la/crt"])):
        events = _events(name)
        for row in record.curve:  # of the second run, the first stage was found finished
            values = {event.step: event.value for event in events.Scalars(f"stage{row.stage}/loss")}
            assert values[row.epoch] == pytest.approx(row.loss)
        (accuracy,) = events.Scalars("test/accuracy_all")
        assert accuracy.value == pytest.approx(record.metrics.accuracy.all)
        assert b"| stage1.la.tau | 1.0 |" in events.Tensors("settings/text_summary")[0].tensor_proto.string_val[0]
        assert events.Tensors("status/text_summary")[0].tensor_proto.string_val == [b"completed"]
    assert main([*RUN, "--methods", "la,la/crt", "--out", "plain"]) == 0
    for item in records.read_directory(Path("plain"))[0]:
        assert records.equal(item.record, found[item.record.expression]) == []


def test_a_killed_run_goes_on_in_its_tracker_and_says_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Tracking._log_epoch
    killed: list[tuple[int, int]] = []

    def kill(self: Tracking, stage: int, epoch: int, figures: Any) -> None:
        log(self, stage, epoch, figures)
        if (stage, epoch) in ((1, 1), (2, 1)) and (stage, epoch) not in killed:
            killed.append((stage, epoch))
            raise KeyboardInterrupt

    monkeypatch.setattr(Tracking, "_log_epoch", kill)
    command = [*RUN, "--methods", "ce/crt", "--track-with", "tensorboard"]
    assert [main(command) for _ in range(3)] == [130, 130, 0]
    events = _events("ce-crt")
    assert [event.step for event in events.Scalars("stage1/loss")] == [1, 2]
    assert [event.step for event in events.Scalars("stage2/loss")] == [1]


@pytest.mark.usefixtures("wandb")
def test_wandb_gets_steps_that_never_go_back() -> None:
    assert main([*RUN, "--methods", "ce/crt", "--track-with", "wandb", "--track-dir", "logs"]) == 0
    first, *logged, config, last, finish = _said()
    options = first[1]
    assert first[0] == "init" and (options["project"], options["group"], options["resume"]) == ("ltbench", "ce/crt", "allow")
    assert options["dir"] == "logs" and len(options["id"]) == 16
    assert [line[0] for line in logged] == ["log"] * 3 and all(line[2] is None for line in [*logged, last])
    assert [[line[1].get(f"stage{stage}/epoch") for line in logged] for stage in (1, 2)] == [[1, 2, None], [None, None, 1]]
    assert config[0] == "config" and config[1]["expression"] == "ce/crt" and config[1]["protocol.epochs"] == 2
    assert last[1]["status"] == "completed" and finish == ["finish"]


@pytest.mark.usefixtures("wandb")
def test_a_run_that_diverged_is_ended_and_says_why() -> None:
    assert main([*RUN, "--methods", "ce", "--lr", "1e30", "--track-with", "wandb"]) == 0
    *_, last, finish = _said()
    assert last[1].keys() == {"status"} and last[1]["status"].startswith("diverged: the loss is nan") and finish == ["finish"]
    assert _record().status == "diverged"


def test_a_tracker_that_raises_is_reported_once_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                  capsys: pytest.CaptureFixture[str]) -> None:
    _install(tmp_path, monkeypatch, fails=True)
    assert main([*RUN, "--methods", "ce,la", "--track-with", "wandb"]) == 0
    assert capsys.readouterr().err.count("observer ltbench:tracking raised OSError: no network; it is left out") == 1
    assert [item.record.status for item in records.read_directory(Path("runs"))[0]] == ["completed"] * 2


def test_a_run_that_began_in_a_process_that_is_gone_is_ended_as_its_own() -> None:
    assert main([*RUN, "--methods", "ce"]) == 0
    record = _record()
    record.status, record.reason, record.metrics = "failed", "its process was ended by SIGKILL", None
    one, other = (RunInfo("ce", "digits-lt@20", 0, name=f"x-smoke-{name}_s0_1") for name in ("one", "other"))
    tracking = Tracking("tensorboard", Path("tracking"))
    tracking.ltbench_run_start(one)
    tracking.ltbench_run_end(one, _record())
    tracking.ltbench_run_end(other, record)
    assert _events("one").Tensors("status/text_summary")[0].tensor_proto.string_val == [b"completed"]
    status = _events("other").Tensors("status/text_summary")[0].tensor_proto.string_val
    assert status == [b"failed: its process was ended by SIGKILL"]


@pytest.mark.slow
def test_runs_at_once_are_each_logged_as_their_own() -> None:
    assert main([*RUN, "--epochs", "40", "--methods", "ce,ldam", "--track-with", "tensorboard", "--jobs", "2"]) == 0
    for item in records.read_directory(Path("runs"))[0]:
        events = _events(item.record.expression)
        assert [event.step for event in events.Scalars("stage1/loss")] == list(range(1, 41))
        logged = [event.value for event in events.Scalars("stage1/loss")]
        assert logged == pytest.approx([row.loss for row in item.record.curve])


@pytest.mark.parametrize(("tracker", "mend"), [("tensorboard", "pip install 'ltbench[track]'"), ("wandb", "pip install wandb")])
def test_a_tracker_that_is_not_installed_is_one_line(tracker: str, mend: str, monkeypatch: pytest.MonkeyPatch,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("ltbench.running.tracking.importlib.util.find_spec", lambda name: None)
    line = refusal(capsys, *RUN, "--methods", "ce", "--track-with", tracker)
    assert line == f"--track-with {tracker} needs {tracker}: {mend}"
    assert not Path("runs").exists()


def test_another_tracker_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "invalid choice: 'paper'" in refusal(capsys, *RUN, "--track-with", "paper")
