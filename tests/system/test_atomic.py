from __future__ import annotations

import os
from pathlib import Path

import pytest

from ltbench.system import atomic
from ltbench.system.atomic import appearing, disk_time, sweep, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_old_until_it_is_new(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b"old")
    with appearing(file) as temporary:
        temporary.write_bytes(b"new, half")
        assert file.read_bytes() == b"old" and temporary.parent == tmp_path
    assert file.read_bytes() == b"new, half" and names(tmp_path) == ["a.json"]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), appearing(file) as temporary:
        temporary.write_bytes(b"ne")
        raise KeyboardInterrupt
    assert file.read_bytes() == b"old" and names(tmp_path) == ["a.json"]


def test_two_writers_never_share_a_temporary_file(tmp_path: Path) -> None:
    with appearing(tmp_path / "a") as first, appearing(tmp_path / "a") as second:
        assert first != second
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert (tmp_path / "a").read_bytes() == b"first"  # the last one to end


@pytest.mark.parametrize(("durable", "expected"), [(True, ["fsync", "replace"]), (False, ["replace"])])
def test_a_durable_file_is_on_the_disk_before_it_has_its_name(durable: bool, expected: list[str], tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, real=real: (calls.append(name), real(*given)))
    write_whole(tmp_path / "a", b"x", durable=durable)
    assert calls == expected


def test_what_killed_writers_left_goes_after_an_hour(tmp_path: Path) -> None:
    inner = tmp_path / "ab" / "abc"
    inner.mkdir(parents=True)
    now = disk_time(tmp_path)
    for folder in (tmp_path, inner):
        for name, age in ((".a.json.0123456789ab.tmp", 3601), (".a.json.0123456789ac.tmp", 3000), (".mine.tmp", 9999),
                          ("a.0123456789ab.tmp", 9999)):
            (folder / name).write_bytes(b"x")
            os.utime(folder / name, (now - age, now - age))
    sweep(tmp_path)
    kept = [".a.json.0123456789ac.tmp", ".mine.tmp", "a.0123456789ab.tmp"]  # a live writer's, and two of somebody else's
    assert names(tmp_path) == sorted([*kept, "ab"]) and len(names(inner)) == 4
    sweep(tmp_path, "??/*/")
    assert names(inner) == kept
    sweep(tmp_path / "missing")


def test_the_disks_time_leaves_nothing(tmp_path: Path) -> None:
    before = disk_time(tmp_path)
    (tmp_path / "a").touch()
    assert before <= (tmp_path / "a").stat().st_mtime <= disk_time(tmp_path)
    assert names(tmp_path) == ["a"]


def test_temporary_names_are_those_that_are_swept() -> None:
    assert atomic._TEMPORARY.fullmatch(atomic.temporary_beside(Path("x/a.npz")).name)
