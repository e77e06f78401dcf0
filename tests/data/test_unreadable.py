from __future__ import annotations

import json
import os
from pathlib import Path

import PIL
import pytest
import torch

from ltbench.data import unreadable
from ltbench.data.class_folders import open_folder
from ltbench.data.digits import DigitsLT
from ltbench.data.files import FileImages
from ltbench.data.task_data import TaskData, load_task_data
from ltbench.data.unreadable import find_unreadable, leave_out, tell
from ltbench.errors import UserError
from ltbench.running.tuning.validation import trial_data
from ltbench.terms.task import Task
from tests.support.own_images import write_classes


@pytest.fixture(autouse=True)
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_WORKERS", "0")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for part, count in (("train", 4), ("test", 3)):
        write_classes(tmp_path / "pets" / part, {"a": count, "b": count})
    return tmp_path / "pets"


def load(root: Path, ratio: float | None = None) -> TaskData:
    dataset = open_folder(str(root))
    return load_task_data(dataset, dataset.load(None), Task(dataset.name, ratio), None)


def test_what_cannot_be_read_leaves_split_and_test_part(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = load(root)
    assert leave_out(whole, find_unreadable(whole, tmp_path / "seen")) is whole
    for name in ("train/a/001.png", "train/b/002.png", "train/b/003.png", "test/a/002.png"):
        (root / name).write_bytes(b"")
    before = load(root)
    found = find_unreadable(before, tmp_path / "seen")
    assert found == {"train": [1, 6, 7], "test": [2]}
    after = leave_out(before, found)
    assert after.indices.tolist() == [0, 2, 3, 4, 5] and after.class_counts.tolist() == [3, 2]
    assert after.labels.tolist() == [0, 0, 0, 1, 1] and after.test_indices.tolist() == [0, 1, 3, 4, 5]
    assert after.split.hash != before.split.hash and after.fingerprint != before.fingerprint
    assert after.unreadable is not None
    assert (after.unreadable["train"], after.unreadable["test"]) == (3, 1)
    capsys.readouterr()
    tell(before, found)
    assert capsys.readouterr().err.splitlines() == [
        "folder:pets: 3 of 8 train images cannot be read and are left out: 'a/001.png', 'b/002.png', 'b/003.png'",
        "folder:pets: 1 of 6 test images cannot be read and are left out: 'a/002.png'"]


def test_only_what_the_split_wants_is_tried(root: Path, tmp_path: Path) -> None:
    split = load(root, ratio=4)  # of 4 and 4 images, 4 and 1
    kept = split.indices.tolist()
    assert len(kept) == 5
    parts = split.parts.train
    assert isinstance(parts, FileImages)
    dropped = next(index for index in range(8) if index not in kept)
    Path(parts.paths[dropped]).write_bytes(b"")
    assert find_unreadable(load(root, ratio=4), tmp_path / "seen") == {"train": [], "test": []}
    Path(parts.paths[kept[1]]).write_bytes(b"")
    assert find_unreadable(load(root, ratio=4), tmp_path / "seen") == {"train": [kept[1]], "test": []}


def test_a_look_is_remembered_until_a_file_changes(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    looks: list[int] = []
    decode = unreadable.unreadable
    monkeypatch.setattr(unreadable, "unreadable", lambda source, *more: looks.append(len(source.paths)) or decode(source, *more))
    for expected in ([8, 6], [8, 6]):
        find_unreadable(load(root), tmp_path / "seen")
        assert looks == expected
    assert capsys.readouterr().err.splitlines() == ["decoding 8 images once (folder:pets, train part)",
                                                    "decoding 6 images once (folder:pets, test part)"]
    file = root / "test" / "a" / "000.png"
    content, (accessed, modified) = file.read_bytes(), (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    file.write_bytes(bytes(len(content)))
    os.utime(file, ns=(accessed, modified + 1))  # of the same size, a nanosecond later
    assert find_unreadable(load(root), tmp_path / "seen")["test"] == [0]
    assert looks == [8, 6, 6]  # the other part is as it was
    monkeypatch.setattr(PIL, "__version__", "0")
    find_unreadable(load(root), tmp_path / "seen")
    assert looks == [8, 6, 6, 8, 6]  # another Pillow may read more
    for seen in (tmp_path / "seen").glob("*.json"):
        assert all(isinstance(index, int) for index in json.loads(seen.read_text(encoding="utf-8")))
        seen.write_text("damaged", encoding="utf-8")
    assert find_unreadable(load(root), tmp_path / "seen")["test"] == [0]
    (tmp_path / "file").touch()
    assert find_unreadable(load(root), tmp_path / "file")["test"] == [0]  # what cannot be remembered is looked at again


def test_a_class_that_loses_everything_is_named(root: Path) -> None:
    data = load(root)
    with pytest.raises(UserError, match="^class 'b' of folder:pets must keep a training image that can be read, got 4 that can"):
        leave_out(data, {"train": [4, 5, 6, 7], "test": []})
    with pytest.raises(UserError, match="^folder:pets must keep a test image that can be read, got 6 that cannot$"):
        leave_out(data, {"train": [], "test": list(range(6))})
    assert leave_out(data, {"train": [], "test": [0, 1, 2]}).test_indices.tolist() == [3, 4, 5]


def test_the_validation_part_is_tried_where_it_is_looked_at(root: Path, tmp_path: Path,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    write_classes(root / "val", {"a": 2, "b": 2})
    (root / "val" / "b" / "000.png").write_bytes(b"")
    data = load(root)
    assert find_unreadable(data, tmp_path / "seen") == {"train": [], "test": []}  # as a run does that never reads it
    found = find_unreadable(data, tmp_path / "seen", validates=True)
    assert found == {"train": [], "test": [], "val": [2]}
    after = leave_out(data, found)
    judged, validation = trial_data(after, 0, None)
    assert validation.counts == (2, 1) and judged.parts.test.fetch(judged.test_indices).shape[0] == 3
    assert after.unreadable is not None and [after.unreadable[name] for name in ("train", "test", "val")] == [0, 0, 1]
    assert after.class_counts.tolist() == [4, 4] and after.fingerprint != data.fingerprint
    capsys.readouterr()
    tell(data, found)
    assert capsys.readouterr().err == "folder:pets: 1 of 4 val images cannot be read and are left out: 'b/000.png'\n"
    with pytest.raises(UserError, match="^folder:pets must keep a validation image that can be read, got 4 that cannot$"):
        leave_out(data, {**found, "val": [0, 1, 2, 3]})


def test_images_in_memory_can_be_read(tmp_path: Path) -> None:
    data = load_task_data(DigitsLT(), DigitsLT().load(None), Task("digits-lt", 20.0), None)
    found = find_unreadable(data, tmp_path)
    tell(data, found)
    assert found == {} and leave_out(data, found) is data
    assert torch.equal(leave_out(data, {}).indices, data.indices)
