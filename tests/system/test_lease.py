from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ltbench.errors import UserError
from ltbench.system import lease
from ltbench.system.holder import Holder, holders, tidy
from ltbench.system.lease import Lease
from ltbench.system.owner import Owner, this_process

ELSEWHERE = replace(this_process("working far away"), machine="0" * 16)


def put(folder: Path, owner: Owner, silent: float = 0.0) -> Path:
    """Let somebody have the lease "one", whose last sign of life is some seconds old."""
    file = folder / "one" / "0123"
    file.parent.mkdir(parents=True)
    file.write_bytes(owner.to_bytes())
    stamp = time.time() - silent
    os.utime(file, (stamp, stamp))
    return file


def one(folder: Path) -> Lease:
    return Lease(folder, "one", "testing")


def until(holds: Callable[[], bool]) -> None:
    """Wait for another thread, however long a busy machine keeps it waiting."""
    deadline = time.monotonic() + 600
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Looks:
    """Count how often a lease is asked for until it is had, where a given time passes between two attempts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.now = 1000.0
        self.seconds = seconds
        monkeypatch.setattr(lease.time, "monotonic", lambda: self.now)

    def needed(self, asked: Lease, most: int = 40) -> int:
        for number in range(1, most + 1):
            if asked.attempt():
                asked.release()
                return number
            self.now += self.seconds
        return 0


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("BEAT", 0.1), ("EXPIRY", 0.5), ("WATCH", 0.2)):
        monkeypatch.setattr(lease, name, seconds)
    monkeypatch.setattr(lease, "_heart", lease._Heart())  # one that knows these times from its start


def test_one_has_it_and_the_next_after_it(tmp_path: Path) -> None:
    first, second = one(tmp_path), one(tmp_path)
    assert first.attempt() and not second.attempt()
    assert second.holder is not None and second.holder.owner == this_process("testing")
    assert re.fullmatch(rf"process {os.getpid()} of this machine has had it for \d+ s", str(second.holder))
    assert first.confirm()
    first.release()
    assert second.attempt()
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_a_dead_owner_of_this_machine_is_in_nobodys_way(tmp_path: Path) -> None:
    put(tmp_path, replace(this_process("dying"), pid=2**22 + 1))
    assert one(tmp_path).attempt()


@pytest.mark.parametrize(("silent", "seconds", "looks"), [
    (0, 4, 0),  # alive, as far as anybody knows: for the 40 looks that stamp would have to be renewed, see below
    (61, 4, 5),  # 0, 4, 8, 12, 16 s of watching: the first that are more than 15
    (61, 100, 5),  # a look counts for 5 s at most, for the disk may have been away: 0, 5, 10, 15, 20
    (3601, 4, 1),  # no two clocks differ by an hour
    (-3600, 4, 17),  # a stamp of a clock that is ahead: 16 looks after the first make 64 s
    (59, 4, 17),  # likewise: the disk's time stands still here, a second before a minute of silence
])
def test_an_owner_elsewhere_is_overdue_after_a_minute_of_silence(silent: float, seconds: float, looks: int, tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    file = put(tmp_path, ELSEWHERE, silent)
    clock, clear, now = Looks(monkeypatch, seconds), Lease._clear, file.stat().st_mtime + silent
    monkeypatch.setattr(Lease, "_clear", lambda self, _: clear(self, now))  # the disk's time stands still
    if silent == 0:
        asked = one(tmp_path)
        for number in range(40):
            os.utime(file, (time.time(), time.time() + number))  # it beats
            assert clock.needed(asked, most=1) == 0
    else:
        assert clock.needed(one(tmp_path)) == looks


def test_of_damaged_owners_age_alone_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put(tmp_path, ELSEWHERE)
    file.write_bytes(b"")
    assert str(holders(tmp_path)["one"]).startswith("process unknown of another machine")
    assert Looks(monkeypatch, 4).needed(one(tmp_path)) == 17


def test_an_owner_that_lost_it_notices_and_waits_for_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    late, other = one(tmp_path), one(tmp_path)
    assert late.attempt() and late._mine is not None
    late._mine.unlink()  # what a taker does
    assert other.attempt()
    timer = threading.Timer(0.1, other.release)
    timer.start()
    assert not late.confirm()  # somebody else had it
    assert late.confirm() and not other.attempt()  # now it is this one's again
    late.release()
    assert "testing: this process gave no sign of life for 60 s, and another one went on with it" in capsys.readouterr().err


def test_a_late_owner_leaves_the_next_ones_lease_alone(tmp_path: Path) -> None:
    late, other = one(tmp_path), one(tmp_path)
    assert late.attempt() and late._mine is not None
    late._mine.unlink()
    assert other.attempt()
    late.release()
    assert other.confirm() and not one(tmp_path).attempt()
    other.release()


def test_a_late_waiter_cannot_remove_the_next_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, replace(this_process("dead"), pid=2**22 + 1))
    late, other = one(tmp_path), one(tmp_path)
    judge = late._overdue

    def slowly(holder: Holder) -> bool:
        if overdue := judge(holder):
            assert other.attempt()  # between the look at the dead owner and its removal
        return overdue

    monkeypatch.setattr(late, "_overdue", slowly)
    assert not late.attempt()
    assert other.confirm()
    other.release()


def stampers() -> int:
    return sum(thread.name == "leases" for thread in threading.enumerate())


def test_it_is_stamped_until_it_is_given_back(short: None, tmp_path: Path) -> None:
    mine, other = one(tmp_path), Lease(tmp_path, "two", "testing")
    assert mine.attempt() and other.attempt() and mine._mine is not None
    first, threads = mine._mine.stat().st_mtime_ns, stampers()
    until(lambda: mine._mine is not None and mine._mine.stat().st_mtime_ns > first)
    for lease_ in (mine, other):
        lease_.release()
    assert mine.attempt() and stampers() == threads  # one stamps all
    mine.release()
    assert lease._heart._files == set()


def test_a_forked_child_neither_keeps_it_alive_nor_gives_it_back(tmp_path: Path) -> None:
    mine = one(tmp_path)
    assert mine.attempt()
    child = os.fork()
    if child == 0:
        mine.release()
        os._exit(threading.active_count())  # no thread but this one
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert mine.confirm() and not one(tmp_path).attempt()
    mine.release()


def test_waiting_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(lease, "_PATIENCE", 0.05)
    other = Lease(tmp_path, "one", "the work of another")
    assert other.attempt()
    os.utime(tmp_path / "one", (time.time() - 155, time.time() - 155))  # 3 min from 150 s to 210 s

    def tell(*words: object, **given: Any) -> None:
        print(*words, **given)
        threading.Timer(0.2, other.release).start()  # some tries later

    monkeypatch.setattr(lease, "print", tell, raising=False)
    with Lease(tmp_path, "one", "stage 1 of ce").held():
        told = capsys.readouterr().err
    assert told == f"waiting for stage 1 of ce: process {os.getpid()} of this machine has had it for 3 min\n"


def test_a_folder_that_cannot_be_written_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the folder .*file must be writable: Not a directory"):
        one(tmp_path / "file").attempt()


def test_no_attempt_fails_because_others_tidy(tmp_path: Path) -> None:
    stop = threading.Event()

    def clean() -> None:
        while not stop.is_set():
            tidy(tmp_path / "leases")

    thread = threading.Thread(target=clean)
    thread.start()
    try:
        for _ in range(50):
            with one(tmp_path / "leases").held():
                pass
    finally:
        stop.set()
        thread.join()


def test_a_stamp_that_cannot_be_made_is_tried_again(short: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.utime, []

    def away_at_first(*given: Any) -> None:
        calls.append(given)
        if len(calls) == 1:
            raise OSError(5, "Input/output error")
        real(*given)

    monkeypatch.setattr(os, "utime", away_at_first)
    mine = one(tmp_path)
    assert mine.attempt()
    until(lambda: len(calls) >= 2)
    mine.release()
