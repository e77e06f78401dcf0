from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ltbench.cli.main import guarded, main
from ltbench.system import stopping
from ltbench.system.stopping import CODES, SIGNALS, Stopped, stoppable


@pytest.fixture(autouse=True)
def torchs_handler() -> Iterator[None]:
    """Give back what tells of decoding processes that die, which torch sets once and a process that stops lets go."""
    before = signal.getsignal(signal.SIGCHLD)
    yield
    signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 138), (signal.SIGUSR2, 140)])
def test_a_signal_is_one_line_and_a_code_of_its_own(number: signal.Signals, code: int,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]

    def command() -> int:
        os.kill(os.getpid(), number)
        raise AssertionError("it went on")

    assert guarded(command) == code and code in CODES
    assert capsys.readouterr().err == f"ltbench: stopped by {number.name}; the same command goes on where this one stopped\n"
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_a_second_signal_does_not_disturb_the_leaving() -> None:
    left = False
    with pytest.raises(Stopped, match="SIGTERM"), stoppable():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGUSR1)
            left = True
    assert left


def test_nothing_that_catches_errors_of_a_run_catches_it() -> None:
    """The runner makes a failed record of any Exception and of SystemExit: a run that is stopped has none."""
    assert not issubclass(Stopped, (Exception, SystemExit))


def test_ranks_and_threads_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def look() -> None:
        with stoppable():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    monkeypatch.setenv("WORLD_SIZE", "2")
    look()
    assert found == [signal.getsignal(signal.SIGTERM)] * 2


def test_a_helper_that_dies_of_the_same_signal_fails_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    """A decoding process that gets a scheduler's SIGTERM too is an error of the run, a moment before the signal arrives here."""
    from ltbench.training.loop import Loop

    monkeypatch.setattr(stopping, "_ON_ITS_WAY", 60.0)  # the signal ends this wait, however late a busy machine sends it
    def helper_dies(self: Loop, parts: object) -> None:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated.")

    monkeypatch.setattr(Loop, "_step", helper_dies)
    run = ["run", "--cpu", "--protocol", "smoke", "--methods", "ce", "--seeds", "0", "--out", str(tmp_path)]
    assert main([*run, "--cache", str(tmp_path / "cache")]) == 143  # one without the stages of other tests
    said = capsys.readouterr().err.splitlines()[1:]  # behind what is run where
    assert said == ["ltbench: stopped by SIGTERM; the same command goes on where this one stopped"]
    assert list(tmp_path.glob("*.json")) == []
