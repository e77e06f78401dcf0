from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ltbench.system import holder
from ltbench.system.holder import duration, holders, tidy
from ltbench.system.owner import Owner, this_process

ELSEWHERE = replace(this_process("working far away"), machine="0" * 16)


def put(place: Path, owner: Owner, silent: float = 0.0) -> None:
    """Let somebody have a lease, whose last sign of life is some seconds old."""
    file = place / "0123"
    place.mkdir(parents=True)
    file.write_bytes(owner.to_bytes())
    stamp = time.time() - silent
    os.utime(file, (stamp, stamp))


def test_holders_are_listed_with_what_is_known_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(holder, "disk_time", lambda folder: now)
    gone = replace(this_process("dying"), pid=2**22 + 1)
    for name, owner, silent in (("alive", this_process("testing"), 100), ("gone", gone, 0), ("far", ELSEWHERE, 50),
                                ("silent", ELSEWHERE, 70), (".claim.0123", ELSEWHERE, 0)):
        put(tmp_path / name, owner, silent)
    (tmp_path / "empty").mkdir()
    os.utime(tmp_path / "far", (time.time() - 7200, time.time() - 7200))
    found = holders(tmp_path)
    assert {name: one.dead for name, one in found.items()} == {"alive": False, "gone": True, "far": False, "silent": True}
    assert found["silent"].silent == pytest.approx(70) and found["silent"].owner.what == "working far away"
    assert str(found["far"]) == f"process {os.getpid()} of another machine has had it for 2.0 h"
    assert holders(tmp_path / "missing") == {}


def test_what_killed_processes_left_is_tidied_away(tmp_path: Path) -> None:
    dead = replace(this_process("dead"), pid=2**22 + 1)
    for name, owner, age in (("a", dead, 0), (".a.0123", dead, 0), ("b", ELSEWHERE, 3601), ("c", ELSEWHERE, 3000)):
        put(tmp_path / name, owner, age)
    (tmp_path / "d").mkdir()
    tidy(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    (found,) = holders(tmp_path).values()
    os.utime(found.path, (0, 0))
    tidy(tmp_path)
    assert not tmp_path.exists()
    tidy(tmp_path)


@pytest.mark.parametrize(("seconds", "text"), [(-5, "0 s"), (12.4, "12 s"), (150, "2 min"), (5999, "100 min"), (9000, "2.5 h")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
