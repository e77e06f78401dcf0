from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from ltbench.errors import UserError
from ltbench.training.files import load_tensors, save_tensors
from ltbench.training.store import CHECKPOINT, ENGINE, StageStore

LEASE_PROCESS = Path(__file__).resolve().parents[1] / "support" / "lease_process.py"


def meta_of(key: str) -> dict[str, object]:
    return {"what": key, "curve": [], "seconds": 0.0}


def fill(store: StageStore, key: str, nbytes: int) -> None:
    save_tensors(store.path(key) / ENGINE, {"x": torch.zeros(nbytes, dtype=torch.uint8)}, {})
    store.finish(key, meta_of(key))


def test_a_stage_is_finished_when_its_metadata_is_there(tmp_path: Path) -> None:
    store = StageStore(tmp_path, 10**9)
    save_tensors(store.path("ab1") / CHECKPOINT, {"x": torch.ones(2)}, {"epoch": 3})
    assert not store.has("ab1")
    assert store.partial("ab1") is not None
    fill(store, "ab1", 10)
    assert store.has("ab1") and store.partial("ab1") is None
    assert store.meta("ab1") == meta_of("ab1")


def test_pruning_takes_the_least_recently_used_and_never_a_held_one(tmp_path: Path) -> None:
    store = StageStore(tmp_path, 10**9)
    for age, key in ((300, "aa1"), (200, "bb2"), (100, "cc3")):
        fill(store, key, 1000)
        os.utime(store.path(key) / "meta.json", (time.time() - age, time.time() - age))
    store.meta("aa1")  # used now
    with store.lock("bb2"):
        # A lock of this process's other handle counts as somebody else's.
        removed = StageStore(tmp_path, 0).prune(2500)
    assert [entry.key for entry in removed] == ["cc3"]
    assert store.has("aa1") and store.has("bb2")


def test_finishing_makes_room_but_keeps_itself(tmp_path: Path) -> None:
    store = StageStore(tmp_path, 1500)
    fill(store, "aa1", 1000)
    fill(store, "bb2", 1000)
    assert not store.has("aa1") and store.has("bb2")


def test_a_damaged_store_of_leases_is_no_reason_to_fail_while_making_room(tmp_path: Path) -> None:
    store = StageStore(tmp_path, 10**9)
    fill(store, "aa1", 1000)
    (tmp_path / "leases").write_text("")
    assert store.prune(0) == [] and store.has("aa1")


def test_a_stage_that_another_process_finished_meanwhile_is_left_alone(tmp_path: Path) -> None:
    late, other = StageStore(tmp_path, 10**9), StageStore(tmp_path, 10**9)
    assert late.confirm("aa1")  # nobody holds it
    with late.lock("aa1"):
        assert late.confirm("aa1")
        (file,) = (tmp_path / "leases" / "aa1").iterdir()
        file.unlink()  # it was suspended for long, and lost it
        with other.lock("aa1"):
            fill(other, "aa1", 1000)
        assert not late.confirm("aa1") and late.has("aa1")
        assert late.confirm("aa1")  # from now on it is its own again


def test_finishing_twice_harms_nobody(tmp_path: Path) -> None:
    store = StageStore(tmp_path, 10**9)
    fill(store, "aa1", 1000)
    content = {path.name: path.read_bytes() for path in store.path("aa1").iterdir()}
    save_tensors(store.path("aa1") / CHECKPOINT, {"x": torch.ones(2)}, {"epoch": 3})  # of one who did not know
    fill(store, "aa1", 1000)
    assert {path.name: path.read_bytes() for path in store.path("aa1").iterdir()} == content


@pytest.mark.parametrize(("durable", "syncs"), [(True, 3), (False, 0)])  # the engine, the metadata, and the names of both
def test_what_took_long_is_on_the_disk_before_it_counts_as_finished(durable: bool, syncs: int, tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(os, "fsync", calls.append)
    store = StageStore(tmp_path, 10**9)
    save_tensors(store.path("aa1") / ENGINE, {"x": torch.ones(2)}, {}, durable=durable)
    store.finish("aa1", meta_of("aa1"), durable=durable)
    assert len(calls) == syncs and store.has("aa1")


def test_what_killed_processes_left_half_written_is_tidied_away(tmp_path: Path) -> None:
    store = StageStore(tmp_path, 10**9)
    fill(store, "aa1", 1000)
    left, live = (store.path("aa1") / f".engine.safetensors.0123456789a{end}.tmp" for end in "bc")
    for file in (left, live):
        file.write_bytes(b"half")
    os.utime(left, (0, 0))
    for key in ("aa1", "bb2"):  # finished, and not
        save_tensors(store.path(key) / CHECKPOINT, {"x": torch.ones(2)}, {"epoch": 3})
    store.tidy()
    assert not left.exists() and live.exists() and store.has("aa1")
    assert not (store.path("aa1") / CHECKPOINT).exists() and store.partial("bb2") is not None


def test_a_killed_owner_blocks_nobody(tmp_path: Path) -> None:
    command = [sys.executable, str(LEASE_PROCESS), "hold", str(tmp_path / "leases")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        process.kill()
    with StageStore(tmp_path, 0).lock("one"):
        pass


def test_tensors_come_back_bit_for_bit(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4).to(memory_format=torch.contiguous_format).T, "b": torch.tensor(7), "c": torch.zeros(0, 2)}
    save_tensors(tmp_path / "f.safetensors", tensors, {"epoch": 2, "curve": [{"loss": 0.1}]})
    back, meta = load_tensors(tmp_path / "f.safetensors")
    assert meta == {"epoch": 2, "curve": [{"loss": 0.1}]}
    for name, value in tensors.items():
        assert torch.equal(back[name], value) and back[name].dtype == value.dtype


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f.safetensors"
    path.write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"f\.safetensors is damaged"):
        load_tensors(path)


def test_a_folder_that_cannot_be_made_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        StageStore(tmp_path / "file", 0).require_writable()
    (tmp_path / "leases").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        StageStore(tmp_path, 0).require_writable()
    with pytest.raises(UserError, match="cannot be written"):
        save_tensors(tmp_path / "file" / "f.safetensors", {"a": torch.ones(1)}, {})


def test_a_full_disk_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: IoError(Os { code: 28, kind: StorageFull }) No space left (os error 28)")

    monkeypatch.setattr("ltbench.training.files.save_file", full)
    with pytest.raises(UserError, match="no space is left .* 'ltbench cache prune'"):
        save_tensors(tmp_path / "f.safetensors", {"a": torch.ones(1)}, {})
    assert list(tmp_path.iterdir()) == []
