from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest
import torch.distributed as dist

from ltbench.errors import UserError
from ltbench.system import launcher
from ltbench.training import watch
from ltbench.training.watch import Failed, Watch, is_lost, reason, watching


@pytest.fixture
def group() -> Iterator[None]:
    """Hold a group of one process, whose store others of this test write to as well."""
    dist.init_process_group("gloo", store=dist.TCPStore("127.0.0.1", 0, 1, is_master=True), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def ended(watch: Watch, codes: list[int]) -> list[int]:
    deadline = time.monotonic() + 600  # however long a busy machine keeps the other thread waiting
    while not codes and time.monotonic() < deadline:
        time.sleep(0.01)
    watch.leave()
    return codes[:1]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look often, and leave no thread behind: it would end this process of tests minutes later, and say nothing."""
    monkeypatch.setattr(watch, "_PERIOD", 0.02)
    yield
    for thread in threading.enumerate():
        if thread.name == "ltbench-watch":
            thread.join(600)
            assert not thread.is_alive()


def test_a_launcher_that_is_gone_ends_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    codes: list[int] = []
    assert ended(Watch(1, 2, os.getppid() + 1, codes.append), codes) == [1]
    assert capsys.readouterr().err.startswith("ltbench: rank 1 of 2: the launcher is gone; the same command goes on")


def test_processes_that_do_not_come_end_the_wait(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(watch, "_GATHERING", 0.1)
    codes: list[int] = []
    assert ended(Watch(0, 2, os.getppid(), codes.append), codes) == [1]
    assert "not all 2 processes came within 0 minutes" in capsys.readouterr().err


def test_what_one_process_reports_ends_the_others_without_a_word(group: None, capsys: pytest.CaptureFixture[str]) -> None:
    codes: list[int] = []
    here, there = Watch(0, 2, os.getppid(), codes.append), Watch(1, 2, os.getppid(), lambda code: None)
    here.meet()
    there.meet()
    time.sleep(0.1)
    assert not codes
    assert there.report("no memory") and not here.report("nobody answers")
    assert ended(here, codes) == [1] and capsys.readouterr().err == ""
    there.leave()


def test_a_process_without_a_sign_of_life_is_named(group: None, monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(watch, "_SILENT", 0.2)
    codes: list[int] = []
    here = Watch(0, 2, os.getppid(), codes.append)  # and nobody is rank 1
    here.meet()
    assert ended(here, codes) == [1]
    assert "rank 1 has given no sign of life for 0 seconds" in capsys.readouterr().err


def test_a_connection_that_is_lost_with_the_launcher_is_told_as_the_launchers_end(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The other process noticed it first and ended, which this one hears of before its own look."""
    def leave(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(watch, "_PERIOD", 600.0)
    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    for number, told in ((os.getppid() + 1, "the launcher is gone"), (os.getppid(), "another process is gone, killed")):
        monkeypatch.setattr(launcher, "PID", number)
        with pytest.raises(SystemExit) as ends, watching(debug=False):
            raise RuntimeError("Connection closed by peer")
        assert ends.value.code == 1 and capsys.readouterr().err.startswith(f"ltbench: rank 0 of 2: {told}")


def test_a_process_alone_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with watching(debug=False) as found:
        assert found is None


@pytest.mark.parametrize(("error", "told"), [
    (UserError("batch must be 2, got 3"), "batch must be 2, got 3"),
    (Failed("[1/2] ce: out of memory"), "[1/2] ce: out of memory"),
    (ValueError("two\nlines"), "ValueError: two"),
    (KeyboardInterrupt(), "interrupted"),
])
def test_reasons_are_one_line(error: BaseException, told: str) -> None:
    assert reason(error) == told


def test_a_lost_connection_is_known_wherever_it_came_up() -> None:
    lost = RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:41")
    assert is_lost(lost) and not is_lost(RuntimeError("shapes differ")) and not is_lost(ValueError("closed by peer"))
    wrapped = Failed("[1/2] ce: RuntimeError: ...")
    wrapped.__cause__ = lost
    assert reason(wrapped).startswith("another process is gone")
