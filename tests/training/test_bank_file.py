from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ltbench.errors import UserError
from ltbench.training import bank_file
from ltbench.training.bank_file import BankFile, unkept

N, D, CHUNK = 10, 3, 4
ROWS = torch.arange(N * D, dtype=torch.float32).view(N, D)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_file, "CHUNK", CHUNK)
    monkeypatch.setattr(bank_file, "_sound", set())


def bank(folder: Path) -> BankFile:
    return BankFile(folder, "bank-plain", N, D)


def make(folder: Path, stop: int = N) -> None:
    """Make a bank, or die before the chunk that holds row ``stop`` is computed."""
    file = bank(folder)
    first = file.finished_rows()

    def chunks() -> Iterator[Tensor]:
        for start in range(first, N, CHUNK):
            if start + CHUNK > stop and stop < N:
                raise KeyboardInterrupt
            yield ROWS[start:start + CHUNK]

    file.write(chunks())


def test_rows_are_raw_and_the_facts_say_what_they_are(tmp_path: Path) -> None:
    make(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bank-plain.json", "bank-plain.rows"]
    assert (tmp_path / "bank-plain.rows").read_bytes() == ROWS.numpy().tobytes()
    digests = [hashlib.sha256(part.numpy().tobytes()).hexdigest() for part in torch.split(ROWS, CHUNK)]
    facts = json.loads((tmp_path / "bank-plain.json").read_text())
    assert facts == {"rows": 10, "width": 3, "type": "<f4", "chunk": 4, "sha256": digests}
    assert bank(tmp_path).finished_rows() == N
    assert torch.equal(bank(tmp_path).read(), ROWS)


@pytest.mark.parametrize("torn", [0, 5, 40])
def test_a_killed_run_goes_on_at_the_first_chunk_that_is_not_known_to_be_whole(torn: int, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, stop=8)
    with (tmp_path / "bank-plain.part").open("ab") as file:
        file.write(b"\1" * torn)  # rows that were written and not yet noted
    assert bank(tmp_path).finished_rows() == 8
    make(tmp_path)
    assert (tmp_path / "bank-plain.rows").read_bytes() == ROWS.numpy().tobytes()


def test_a_run_killed_after_the_last_chunk_has_nothing_left_to_do(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "bank-plain.rows").rename(tmp_path / "bank-plain.part")
    bank_file._sound.clear()
    assert bank(tmp_path).finished_rows() == N
    assert torch.equal(bank(tmp_path).read(), ROWS)
    assert not (tmp_path / "bank-plain.part").exists()


def test_noted_rows_that_never_reached_the_disk_are_computed_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, stop=8)
    part = tmp_path / "bank-plain.part"
    part.write_bytes(part.read_bytes()[:CHUNK * D * 4 + 7])
    assert bank(tmp_path).finished_rows() == 4
    make(tmp_path)
    assert torch.equal(bank(tmp_path).read(), ROWS)


def test_a_writer_that_lost_its_bank_leaves_it_to_the_other(tmp_path: Path) -> None:
    looks: list[int] = []

    def lost_before_the_second_chunk() -> bool:
        looks.append(1)
        if len(looks) == 2:
            make(tmp_path)  # what another process does meanwhile
        return len(looks) < 2

    chunks = iter(torch.split(ROWS, CHUNK))
    late = bank(tmp_path)
    assert late.finished_rows() == 0
    late.write(chunks, lost_before_the_second_chunk)
    assert next(chunks, None) is None  # all are computed: other processes take part in that
    assert bank(tmp_path).finished_rows() == N and torch.equal(bank(tmp_path).read(), ROWS)


def test_two_writers_that_do_not_know_of_each_other_write_the_same(tmp_path: Path) -> None:
    first, second = bank(tmp_path), bank(tmp_path)
    parts = torch.split(ROWS, CHUNK)

    def chunks() -> Iterator[Tensor]:
        yield parts[0]
        start = second.finished_rows()
        assert start == CHUNK  # the other goes on behind the first chunk, which the first one has written
        second._start()
        second._put(parts[1])
        yield parts[1]  # and so does the first one, at the same place
        yield parts[2]

    assert first.finished_rows() == 0
    first.write(chunks())
    bank_file._sound.clear()
    assert bank(tmp_path).finished_rows() == N and (tmp_path / "bank-plain.rows").read_bytes() == ROWS.numpy().tobytes()


def damage(folder: Path, kind: str) -> None:
    rows, facts = folder / "bank-plain.rows", folder / "bank-plain.json"
    if kind == "short":
        os.truncate(rows, 50)
    elif kind == "long":
        rows.write_bytes(rows.read_bytes() + b"x")
    elif kind == "flipped":
        rows.write_bytes(b"\1" + rows.read_bytes()[1:])
    elif kind == "no facts":
        facts.unlink()
    elif kind == "torn facts":
        facts.write_text(facts.read_text()[:30])
    elif kind == "other facts":
        facts.write_text("[]")
    elif kind == "other shape":
        facts.write_text(facts.read_text().replace('"width": 3', '"width": 4'))


@pytest.mark.parametrize("kind", ["short", "long", "flipped", "no facts", "torn facts", "other facts", "other shape"])
def test_a_damaged_bank_is_made_again_with_one_line(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path)
    bank_file._sound.clear()  # another process comes
    mapped = bank(tmp_path).read() if kind == "flipped" else None
    damage(tmp_path, kind)
    assert bank(tmp_path).finished_rows() == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("warning:") and "is damaged: it is computed again" in lines[0]
    make(tmp_path)
    assert torch.equal(bank(tmp_path).read(), ROWS)
    if mapped is not None:
        assert mapped.shape == (N, D)  # who had mapped the old file still has it: its pages were not cut off


def test_a_sound_bank_is_checked_once_in_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)
    bank_file._sound.clear()
    assert bank(tmp_path).finished_rows() == N
    monkeypatch.setattr(BankFile, "_found", lambda self, path: pytest.fail("read again"))
    assert bank(tmp_path).finished_rows() == N


def test_a_bank_of_the_old_kind_is_removed(tmp_path: Path) -> None:
    old = tmp_path / "bank-plain.safetensors"
    old.write_bytes(b"x")
    assert bank(tmp_path).finished_rows() == 0
    make(tmp_path)
    assert not old.exists()


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_says_what_to_do_and_the_rest_is_computed_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, stop=4)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="no space is left for .*bank-plain.part: free some, or run 'ltbench cache prune'"):
            make(tmp_path)
    assert bank(tmp_path).finished_rows() == 4
    make(tmp_path)
    assert torch.equal(bank(tmp_path).read(), ROWS)


def test_what_nobody_keeps_leaves_no_file(tmp_path: Path) -> None:
    rows = unkept(iter(torch.split(ROWS, CHUNK)), tmp_path / "scratch", D)
    assert torch.equal(rows, ROWS)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_folder_for_what_nobody_keeps_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        unkept(iter([ROWS]), tmp_path / "file", D)
