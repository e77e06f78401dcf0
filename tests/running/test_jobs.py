"""Processes that only play at making runs, so that each test takes tenths of a second."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ltbench.errors import UserError
from ltbench.planning.matrix import Planned
from ltbench.planning.plan import RunPlan
from ltbench.planning.request import How, Request
from ltbench.running import jobs
from ltbench.running.ledger import Ledger
from ltbench.running.runner import Runner

PLANS = cast(list[RunPlan], [SimpleNamespace(file_name=name) for name in "abcd"])


def run(monkeypatch: pytest.MonkeyPatch, act: Callable[[Ledger, int], str]) -> tuple[list[Any], list[subprocess.Popen[bytes]]]:
    """Run four plans with processes of which each executes what is returned for its ledger and number."""
    started: list[subprocess.Popen[bytes]] = []

    def start(environment: dict[str, str], handed: bytes) -> subprocess.Popen[bytes]:
        request, ledger, _ = pickle.loads(handed)
        assert request.how.jobs == 1
        started.append(subprocess.Popen([sys.executable, "-c", act(ledger, len(started))]))
        return started[-1]

    monkeypatch.setattr(jobs, "_start", start)
    runner = cast(Runner, SimpleNamespace(prepare=lambda plans: plans, known=lambda plan, ledger: ledger.ended(plan) or None))
    try:
        return jobs.run_jobs(Request(how=How(jobs=2)), Planned({}, PLANS), runner, one_thread=True), started
    finally:
        assert all(process.poll() is not None for process in started)


def test_a_run_is_begun_twice_at_most(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert [ledger.begin(PLANS[0]) for _ in range(3)] == [
        None, None, "its process ended 2 times before it did: out of memory, or killed from outside"]
    assert not ledger.ended(PLANS[0])
    ledger.end(PLANS[0])
    assert ledger.ended(PLANS[0]) and not ledger.ended(PLANS[1])


def test_another_process_takes_the_place_of_one_that_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(ledger: Ledger, number: int) -> str:
        if number < len(PLANS):  # each makes one run and is killed
            ledger.begin(PLANS[number])
            ledger.end(PLANS[number])
        return "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"

    found, started = run(monkeypatch, act)
    assert found == [True] * 4 and len(started) in (4, 5)


def test_a_mistake_of_the_user_is_told_once_and_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(ledger: Ledger, number: int) -> str:
        ledger.refuse("no such data")
        return "import time; time.sleep(60)" if number == 0 else "raise SystemExit(2)"

    with pytest.raises(UserError, match=r"^no such data$"):
        run(monkeypatch, act)


def test_processes_that_do_not_start_are_not_started_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^processes of --jobs end before they begin a run, with exit code 7$"):
        run(monkeypatch, lambda ledger, number: "raise SystemExit(7)")


def test_an_interrupt_ends_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born deaf to it
    def wait(seconds: float) -> None:  # which happens once all processes have been started
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(jobs, "time", SimpleNamespace(sleep=wait, monotonic=time.monotonic))
    try:
        with pytest.raises(KeyboardInterrupt):  # and not after the processes' 600 s
            run(monkeypatch, lambda ledger, number: "import time; time.sleep(600)")
    finally:
        signal.signal(signal.SIGINT, before)
