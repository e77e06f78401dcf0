from __future__ import annotations

import hashlib
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ltbench.data.augment import Augmentation
from ltbench.data.encoded import EncodedImages
from ltbench.data.files import FileImages
from ltbench.data.inat18 import INat18
from ltbench.data.loader import Loader
from ltbench.data.pack_format import FIRST, MAGIC, PackedPart, encode_header, encode_index
from ltbench.data.packed import PackedImages, find_pack
from ltbench.data.packing import write_pack
from ltbench.data.parts import Parts
from ltbench.data.paths import Paths
from ltbench.data.task_data import check_files, load_task_data
from ltbench.errors import UserError
from ltbench.terms.task import Task
from tests.support.list_factory import write_jpegs


@pytest.fixture
def inat(tmp_path: Path, digits: Parts, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a folder of 24 training and 6 test images of iNaturalist's form."""
    images = digits.train.fetch(torch.arange(30))[:, 0].repeat_interleave(4, 1).repeat_interleave(4, 2).numpy()
    for name, chosen in (("train", images[:24]), ("val", images[24:])):
        names = write_jpegs(tmp_path / "inat18" / name, chosen)
        lines = [f"{name}/{file} {row % 3}\n" for row, file in enumerate(names)]
        (tmp_path / "inat18" / f"iNaturalist18_{name}.txt").write_text("".join(lines), encoding="utf-8")
    monkeypatch.setattr(INat18, "class_names", ("a", "b", "c"))
    monkeypatch.setattr(INat18, "image_size", 16)
    monkeypatch.setattr(INat18, "resized", 18)
    monkeypatch.setenv("LTBENCH_WORKERS", "0")
    return tmp_path


def packed(root: Path, file: Path) -> Path:
    write_pack(file, "inat18", INat18().load_files(root))
    return file


def encoded(parts: Parts) -> tuple[EncodedImages, EncodedImages]:
    assert isinstance(parts.train, EncodedImages) and isinstance(parts.test, EncodedImages)
    return parts.train, parts.test


def test_a_pack_holds_the_same_images(inat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = INat18().load(inat)
    assert capsys.readouterr().err == ""
    pack = packed(inat, inat / "inat18.ltpack")
    shutil.rmtree(inat / "inat18")  # from here on there is the pack alone
    parts = INat18().load(inat)
    assert capsys.readouterr().err == f"inat18: images are read from the pack {str(pack)!r}\n"
    assert parts.val is None
    for ours, theirs in zip(encoded(parts), encoded(folder), strict=True):
        assert isinstance(ours, PackedImages)
        assert torch.equal(ours.labels, theirs.labels)
        assert ours.fingerprint == theirs.fingerprint
        assert ours.paths[3] == str(pack / Path(theirs.paths[3]).relative_to(inat / "inat18"))
    check_files(parts, planning=False)


def test_bytes_pixels_and_split_are_the_folders(inat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = INat18().load(inat)
    parts = INat18().load(packed(inat, inat / "other.ltpack"))  # a pack may be named itself
    for ours, theirs in zip(encoded(parts), encoded(folder), strict=True):
        everything = torch.arange(len(theirs.labels))
        for index in everything.tolist():
            assert ours.read(index).tobytes() == Path(theirs.paths[index]).read_bytes()
            assert ours.stored_bytes(index) == Path(theirs.paths[index]).stat().st_size
        assert torch.equal(ours.fetch(everything), theirs.fetch(everything))
    splits = [load_task_data(INat18(), held, Task("inat18", None), None) for held in (parts, folder)]
    assert splits[0].split.hash == splits[1].split.hash and splits[0].fingerprint == splits[1].fingerprint
    view = Augmentation(("random_resized_crop", "flip", "jitter"), 4, (0.5,) * 3, (0.2,) * 3)
    epochs = []
    for held, workers in ((parts, "2"), (folder, "0")):
        monkeypatch.setenv("LTBENCH_WORKERS", workers)
        loader = Loader(held.train, torch.arange(24), [view], batch_size=8, seed=0)
        epochs.append(torch.cat([batch.views[0] for (batch,) in loader.epoch(np.arange(24), 0)]))
    assert torch.equal(*epochs)


def test_a_spawned_worker_maps_the_file_anew(inat: Path) -> None:
    images = INat18().load(packed(inat, inat / "other.ltpack")).train
    assert isinstance(images, PackedImages)
    sent = pickle.dumps(images.file)
    assert len(sent) < 500  # and not the images
    assert pickle.loads(sent)[slice(0, 16)].tobytes() == MAGIC


def test_a_validation_part_is_packed_too(inat: Path) -> None:
    train, test = encoded(INat18().load_files(inat))
    assert write_pack(inat / "three.ltpack", "inat18", Parts(train, test, val=test)) == {"train": 24, "test": 6, "val": 6}
    parts = INat18().load(inat / "three.ltpack")
    assert isinstance(parts.val, PackedImages)
    assert parts.val.read(2).tobytes() == test.read(2).tobytes()


def test_the_layout_is_the_documented_one(tmp_path: Path) -> None:
    for name, content in (("1", b"abc"), ("22", b""), ("3", b"de")):
        (tmp_path / name).write_bytes(content)

    def part(*names: bytes) -> FileImages:
        return FileImages(Paths(tmp_path, names), torch.arange(len(names)), 8, 8)

    write_pack(tmp_path / "x.ltpack", "x", Parts(part(b"1", b"22"), part(b"3")))
    content = (tmp_path / "x.ltpack").read_bytes()
    index = (b'{"dataset": "x", "parts": [{"name": "train", "images": 2, "names": 3}, '
             b'{"name": "test", "images": 1, "names": 1}]}')
    index = struct.pack("<Q", len(index)) + index + struct.pack("<3q", 0, 1, 3) + b"122" + struct.pack("<5q", 0, 1, 68, 71, 71)
    index += struct.pack("<2q", 0, 1) + b"3" + struct.pack("<3q", 0, 71, 73)
    header = b"ltbench pack\r\n\x1a\n" + struct.pack("<IQQ", 1, 73, len(index)) + hashlib.sha256(index).digest()
    assert len(header) == FIRST == 68
    assert content == header + b"abcde" + index


def test_packs_are_found_in_the_root_and_in_the_sets_folder(tmp_path: Path) -> None:
    own = tmp_path / "inat18"
    own.mkdir()
    assert find_pack("inat18", tmp_path, [own]) is None
    (own / "inat18.ltpack").touch()
    assert find_pack("inat18", tmp_path, [own]) == own / "inat18.ltpack"
    (tmp_path / "inat18.ltpack").touch()
    assert find_pack("inat18", tmp_path, [own]) == tmp_path / "inat18.ltpack"
    assert find_pack("places-lt", tmp_path, [own]) is None
    assert find_pack("places-lt", own / "inat18.ltpack", []) == own / "inat18.ltpack"  # refused when it is read


def reindexed(dataset: str = "inat18", offsets: tuple[int, ...] = (68, 70), ends: tuple[int, ...] = (0, 1),
              told: bytes | None = None) -> bytes:
    """Return a pack of two bytes with an index that only a broken writer makes."""
    part = PackedPart("train", np.array(ends), b"n", np.zeros(1, np.int64), np.array(offsets))
    index = encode_index(dataset, [part]) if told is None else len(told).to_bytes(8, "little") + told
    return encode_header(70, index) + b"ab" + index


@pytest.mark.parametrize(("change", "words"), [
    (lambda content: b"PK" + content[2:], r"must be a file that 'ltbench data pack' wrote"),
    (lambda content: b"", r"must be a file that 'ltbench data pack' wrote"),
    (lambda content: content[:40], "is cut: it ends within its first 68 bytes"),
    (lambda content: content[:16] + b"\x02" + content[17:], "must have format version 1, got 2: pack the set again"),
    (lambda content: content[:-1], r"is cut or damaged: it must have \d+ bytes, got \d+"),
    (lambda content: content + b"x", r"is cut or damaged: it must have \d+ bytes, got \d+"),
    (lambda content: content[:-1] + b"x", "is damaged: its index does not have the sha256"),
    (lambda content: reindexed("places-lt"), "must hold 'inat18', got 'places-lt'"),
    (lambda content: reindexed(), "must have the parts train and test, got train"),
    (lambda content: reindexed(offsets=(68, 71)), "points outside of the file, in part 'train'"),
    (lambda content: reindexed(offsets=(67, 70)), "points outside of the file, in part 'train'"),
    (lambda content: reindexed(offsets=(70, 69)), "points outside of the file, in part 'train'"),
    (lambda content: reindexed(ends=(0, 2)), "points outside of the file, in part 'train'"),
    (lambda content: reindexed(told=b"{}"), r"has an index that cannot be read \(KeyError: 'parts'\)"),
    (lambda content: reindexed(told=b"x"), r"has an index that cannot be read \(JSONDecodeError: "),
    (lambda content: reindexed(told=b'{"dataset": "x", "parts": [{"name": "train", "images": 9, "names": 1}]}'),
     r"has an index that cannot be read \(ValueError: "),
])
def test_a_damaged_pack_is_one_line(inat: Path, change: Callable[[bytes], bytes], words: str) -> None:
    pack = packed(inat, inat / "inat18.ltpack")
    pack.write_bytes(change(pack.read_bytes()))
    with pytest.raises(UserError, match=words) as caught:
        INat18().load(inat)
    assert str(pack) in str(caught.value) and "\n" not in str(caught.value)


def test_a_pack_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^'.*none.ltpack' cannot be read: No such file or directory$"):
        INat18().load(tmp_path / "none.ltpack")


def test_a_damaged_image_is_named_within_its_pack(inat: Path) -> None:
    (inat / "inat18" / "train" / "5.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    images = INat18().load(packed(inat, inat / "inat18.ltpack")).train
    images.fetch(torch.arange(5))
    with pytest.raises(UserError, match=r"^image '.*inat18.ltpack/train/5.jpg' cannot be read \([^\n]*$"):
        images.fetch(torch.tensor([5]))
