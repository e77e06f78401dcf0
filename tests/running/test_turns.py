from __future__ import annotations

import itertools
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from accelerate import Accelerator

from ltbench.planning.plan import RunPlan
from ltbench.running import turns as run_turns
from ltbench.running.turns import FOLDER, Turns
from ltbench.system import lease as lease_module
from ltbench.system.holder import holders
from ltbench.system.lease import Lease
from ltbench.system.owner import Owner


@dataclass(frozen=True)
class Task:
    seed: int = 7

    def __str__(self) -> str:
        return "digits-lt"


@dataclass(frozen=True)
class Plan:
    file_name: str
    task: Task = Task()
    needs: frozenset[str] = frozenset()  # stages that are not in the store

    @property
    def expression(self) -> str:
        return self.file_name


PLANS = cast(list[RunPlan], [Plan(name) for name in "abc"])
RECORD = {"status": "completed"}


def turns(folder: Path) -> Turns:
    return Turns(folder, Accelerator(cpu=True), lambda plan: set(plan.needs))  # type: ignore[attr-defined]


def other_job(folder: Path, name: str) -> Lease:
    lease = Lease(folder / FOLDER, name, "another job's")
    assert lease.attempt()
    return lease


def other_has(lease: Lease) -> bool:
    return lease._mine is not None


def at_the_third_wait(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let others do something while the job waits for them, after it has looked in vain three times; no time passes meanwhile."""
    waits = itertools.count(1)
    monkeypatch.setattr(run_turns, "time", SimpleNamespace(sleep=lambda seconds: next(waits) == 3 and act()))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_turns, "_PAUSE", 0.01)


def test_runs_come_in_their_order_and_each_is_held_while_it_is_made(tmp_path: Path) -> None:
    held = [(number, known, list(holders(tmp_path / FOLDER))) for number, known in turns(tmp_path).each(PLANS, lambda plan: None)]
    assert held == [(0, None, ["a"]), (1, None, ["b"]), (2, None, ["c"])]
    assert list(tmp_path.iterdir()) == []


def test_what_has_a_record_is_not_held(tmp_path: Path) -> None:
    records = {"b": RECORD}
    found = [(number, known, list(holders(tmp_path / FOLDER)))
             for number, known in turns(tmp_path).each(PLANS, lambda plan: records.get(plan.file_name))]
    assert found == [(0, None, ["a"]), (1, RECORD, []), (2, None, ["c"])]


def test_what_another_job_has_begun_comes_last_with_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                               capsys: pytest.CaptureFixture[str]) -> None:
    records: dict[str, dict[str, Any]] = {}
    other = other_job(tmp_path, "a")

    def end() -> None:
        records["a"] = RECORD
        other.release()

    at_the_third_wait(monkeypatch, end)
    found = [*turns(tmp_path).each(PLANS, lambda plan: records.get(plan.file_name))]
    assert found == [(1, None), (2, None), (0, RECORD)]
    told = rf"waiting for a on digits-lt, seed 7: process {os.getpid()} of this machine has had it for \d+ s\n"
    assert re.fullmatch(told, capsys.readouterr().err)


def test_a_run_that_needs_a_stage_which_another_job_makes_comes_after_what_does_not(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    plans = cast(list[RunPlan], [Plan(name, needs=frozenset(keys)) for name, keys in (("a", "s"), ("b", "st"), ("c", "u"))])
    other = other_job(tmp_path, "a")
    at_the_third_wait(monkeypatch, other.release)
    found = [number for number, _ in turns(tmp_path).each(
        plans, lambda plan: RECORD if plan.file_name == "a" and not other_has(other) else None)]
    assert found[0] == 2 and sorted(found) == [0, 1, 2]
    assert capsys.readouterr().err.count("waiting for a on digits-lt, seed 7: process ") == 1


def test_jobs_that_give_no_sign_of_life_are_not_waited_for_by_what_needs_their_stage(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two suspended jobs have begun runs of one stage: both are taken, whoever makes the stage."""
    for name, seconds in (("EXPIRY", 0.2), ("WATCH", 0.1)):
        monkeypatch.setattr(lease_module, name, seconds)
    monkeypatch.setattr(Owner, "fate", lambda self: "unknown")
    for name in "ab":
        mine = other_job(tmp_path, name)._mine
        assert mine is not None
        lease_module._heart.stop(mine)
    plans = cast(list[RunPlan], [Plan(name, needs=frozenset("s")) for name in "abc"])
    assert sorted(number for number, _ in turns(tmp_path).each(plans, lambda plan: None, tells=False)) == [0, 1, 2]


def test_processes_of_one_command_wait_for_each_other_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                     capsys: pytest.CaptureFixture[str]) -> None:
    at_the_third_wait(monkeypatch, other_job(tmp_path, "a").release)
    assert [number for number, _ in turns(tmp_path).each(PLANS[:1], lambda plan: None, tells=False)] == [0]
    assert capsys.readouterr().err == ""


def test_what_another_job_leaves_undone_is_made_after_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    others = [other_job(tmp_path, name) for name in "ab"]
    at_the_third_wait(monkeypatch, lambda: [other.release() for other in others])
    assert sorted(turns(tmp_path).each(PLANS[:2], lambda plan: None)) == [(0, None), (1, None)]
    assert re.search(r"has had it for \d+ s \(and for 1 more that other jobs have begun\)\n\Z", capsys.readouterr().err)


def test_a_record_that_appears_between_the_look_and_the_lease_counts(tmp_path: Path) -> None:
    looks = iter([None, RECORD])
    assert [*turns(tmp_path).each(PLANS[:1], lambda plan: next(looks))] == [(0, RECORD)]


def test_a_run_that_fails_is_let_go(tmp_path: Path) -> None:
    going = turns(tmp_path).each(PLANS, lambda plan: None)
    next(going)
    going.close()
    assert holders(tmp_path / FOLDER) == {}


def test_a_job_that_was_suspended_knows_before_it_writes(tmp_path: Path) -> None:
    job = turns(tmp_path)
    assert job.confirm()  # nothing is in hand
    for _ in job.each(PLANS[:1], lambda plan: None):
        assert job.confirm()
        (file,) = (tmp_path / FOLDER / "a").iterdir()
        file.unlink()
        other = other_job(tmp_path, "a")
        threading.Timer(0.1, other.release).start()
        assert not job.confirm()


def test_a_lease_that_changes_hands_in_the_moment_of_the_look_is_waited_for_without_a_word(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    attempt, looks = Lease.attempt, iter([False])
    monkeypatch.setattr(Lease, "attempt", lambda self: next(looks, True) and attempt(self))  # nobody is seen in the way
    assert [number for number, _ in turns(tmp_path).each(PLANS[:1], lambda plan: None)] == [0]
    assert capsys.readouterr().err == ""
