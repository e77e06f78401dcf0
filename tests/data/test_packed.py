from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ltbench.data.encoded import EncodedImages
from ltbench.data.files import FileImages
from ltbench.data.inat18 import INat18
from ltbench.data.loader import Loader
from ltbench.data.pack_index import Shard, encode_index
from ltbench.data.packed import find_pack
from ltbench.data.packing import write_pack
from ltbench.data.parts import Parts
from ltbench.data.paths import Paths
from ltbench.data.tar_images import TarImages
from ltbench.data.task_data import check_files, load_task_data
from ltbench.errors import UserError
from ltbench.terms.task import Task
from tests.support.list_factory import write_jpegs
from tests.support.views import view_of


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
    pack = packed(inat, inat / "inat18.tars")
    shutil.rmtree(inat / "inat18")  # from here on there is the pack alone
    parts = INat18().load(inat)
    assert capsys.readouterr().err == f"inat18: images are read from the pack {str(pack)!r}\n"
    assert parts.val is None
    for ours, theirs in zip(encoded(parts), encoded(folder), strict=True):
        assert isinstance(ours, TarImages)
        assert torch.equal(ours.labels, theirs.labels)
        assert ours.fingerprint == theirs.fingerprint
        assert ours.paths[3] == str(pack / Path(theirs.paths[3]).relative_to(inat / "inat18"))
    check_files(parts, planning=False)


def test_bytes_pixels_and_split_are_the_folders(inat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = INat18().load(inat)
    parts = INat18().load(packed(inat, inat / "other.tars"))  # a pack may be named itself
    for ours, theirs in zip(encoded(parts), encoded(folder), strict=True):
        everything = torch.arange(len(theirs.labels))
        for index in everything.tolist():
            assert ours.read(index).tobytes() == Path(theirs.paths[index]).read_bytes()
            assert ours.stored_bytes(index) == Path(theirs.paths[index]).stat().st_size
        assert torch.equal(ours.fetch(everything), theirs.fetch(everything))
    splits = [load_task_data(INat18(), held, Task("inat18", None), None) for held in (parts, folder)]
    assert splits[0].split.hash == splits[1].split.hash and splits[0].fingerprint == splits[1].fingerprint
    view = view_of(("random_resized_crop", "flip", "jitter"), 4, (0.5,) * 3, (0.2,) * 3, decoded=True)
    epochs = []
    for held, workers in ((parts, "2"), (folder, "0")):
        monkeypatch.setenv("LTBENCH_WORKERS", workers)
        loader = Loader(held.train, torch.arange(24), [view], batch_size=8, seed=0)
        epochs.append(torch.cat([batch.views[0] for (batch,) in loader.epoch(np.arange(24), 0)]))
    assert torch.equal(*epochs)


def test_a_worker_opens_shards_of_its_own_when_it_needs_them(inat: Path) -> None:
    images = INat18().load(packed(inat, inat / "other.tars")).train
    assert isinstance(images, TarImages)
    images.read(0)
    sent = pickle.dumps(images.shards)
    assert len(sent) < 500  # and neither images nor handles
    received = pickle.loads(sent)
    assert not received._opened
    assert received.read(*images.places[3].tolist()) == images.read(3).tobytes()


def test_a_validation_part_is_packed_too(inat: Path) -> None:
    train, test = encoded(INat18().load_files(inat))
    shards = write_pack(inat / "three.tars", "inat18", Parts(train, test, val=test))
    assert [(shard.part, len(shard.names)) for shard in shards] == [("train", 24), ("test", 6), ("val", 6)]
    parts = INat18().load(inat / "three.tars")
    assert isinstance(parts.val, TarImages)
    assert parts.val.read(2).tobytes() == test.read(2).tobytes()


def test_the_layout_is_the_documented_one(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name, content in (("1", b"abc"), ("2.PNG", b""), ("sub/3.jpeg", b"de")):
        (tmp_path / name).write_bytes(content)

    def part(*names: bytes) -> FileImages:
        return FileImages(Paths(tmp_path, names), torch.arange(len(names)), 8, 8)

    write_pack(tmp_path / "x.tars", "x", Parts(part(b"1", b"2.PNG"), part(b"sub/3.jpeg")))
    lines = (
        b'{"shard":"train-000000.tar","part":"train","bytes":10240,"names":["1","2.PNG"],"labels":[0,1],"offsets":[512,2560],'
        b'"sizes":[3,0]}\n'
        b'{"shard":"test-000000.tar","part":"test","bytes":10240,"names":["sub/3.jpeg"],"labels":[0],"offsets":[512],"sizes":[2]}\n')
    head = {"version": 1, "dataset": "x", "sha256": hashlib.sha256(lines).hexdigest()}
    assert (tmp_path / "x.tars" / "index.jsonl").read_bytes() == json.dumps(head).encode() + b"\n" + lines
    with tarfile.open(tmp_path / "x.tars" / "train-000000.tar") as tar:  # as any reader of WebDataset's shards sees it
        members = tar.getmembers()
        assert [(m.name, m.size, m.mtime, m.uid, m.gid, m.uname, m.mode) for m in members] == [
            (name, size, 0, 0, 0, "", 0o644)
            for name, size in (("000000000.jpg", 3), ("000000000.cls", 1), ("000000001.png", 0), ("000000001.cls", 1))]
        assert [tar.extractfile(member).read() for member in members] == [b"abc", b"0", b"", b"1"]  # type: ignore[union-attr]
    with tarfile.open(tmp_path / "x.tars" / "test-000000.tar") as tar:
        assert tar.getnames() == ["000000000.jpeg", "000000000.cls"]


def test_packs_are_found_in_the_root_and_in_the_sets_folder(tmp_path: Path) -> None:
    own = tmp_path / "inat18"
    own.mkdir()
    assert find_pack("inat18", tmp_path, [own]) is None
    (own / "inat18.tars").mkdir()
    assert find_pack("inat18", tmp_path, [own]) == own / "inat18.tars"
    (tmp_path / "inat18.tars").mkdir()
    assert find_pack("inat18", tmp_path, [own]) == tmp_path / "inat18.tars"
    assert find_pack("places-lt", tmp_path, [own]) is None
    assert find_pack("places-lt", own / "inat18.tars", []) == own / "inat18.tars"  # refused when it is read


@pytest.mark.parametrize("place", [".", "inat18"])
def test_a_pack_of_the_old_format_is_one_line(inat: Path, place: str) -> None:
    old = inat / place / "inat18.ltpack"
    old.write_bytes(b"ltbench pack")
    words = (f"^'{os.path.normpath(old)}' is a pack of an older ltbench, which is no longer read: pack the set again with "
             "'ltbench data pack', and remove it$")
    for root in (inat, old):
        with pytest.raises(UserError, match=words):
            INat18().load(root)
    packed(inat, inat / "inat18.tars")  # the files are packed as if nothing were there
    INat18().load(inat)


def reindexed(folder: Path, dataset: str = "inat18", **changes: object) -> None:
    """Give a pack an index of its own sha256 that only a broken writer makes."""
    lines = (folder / "index.jsonl").read_bytes().splitlines()[1:]
    shards = [Shard(**json.loads(line)) for line in lines]
    for name, value in changes.items():
        setattr(shards[0], name, value)
    (folder / "index.jsonl").write_bytes(encode_index(dataset, shards))


def index(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda pack: (pack / "index.jsonl").write_bytes(change((pack / "index.jsonl").read_bytes()))


def shard(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda pack: (pack / "train-000000.tar").write_bytes(change((pack / "train-000000.tar").read_bytes()))


CUT = r"train-000000.tar' is cut or not the one that was packed: it must have \d+ bytes, got \d+"
NO_COLUMNS = r"must be the index of a pack \(ValueError: every image must have a name and three whole numbers\)"


@pytest.mark.parametrize(("change", "words"), [
    (index(lambda content: b""), r"index.jsonl' must be the index of a pack \(JSONDecodeError: "),
    (index(lambda content: b"{}\n"), r"index.jsonl' must be the index of a pack \(KeyError: 'version'\)"),
    (index(lambda content: b"[1]\n"), r"index.jsonl' must be the index of a pack \(TypeError: "),
    (index(lambda content: content.replace(b'"version": 1', b'"version": 2')),
     "must have format version 1, got 2: pack the set again"),
    (index(lambda content: content[:-1]), "index.jsonl' is cut or damaged: its lines do not have the sha256"),
    (index(lambda content: content.replace(b'"labels":[0,', b'"labels":[1,', 1)), "index.jsonl' is cut or damaged"),
    (lambda pack: (pack / "index.jsonl").unlink(), "index.jsonl' cannot be read: No such file or directory"),
    (lambda pack: (pack / "train-000000.tar").unlink(), "train-000000.tar' cannot be read: No such file or directory"),
    (shard(lambda content: content[:-1]), CUT),
    (shard(lambda content: content + b"x"), CUT),
    (shard(lambda content: b"x" * len(content)), r"train-000000.tar' is damaged or not the one that was packed \("),
    (shard(lambda content: content[:10240] + bytes(len(content) - 10240)), r"train-000000.tar' is damaged or not the one"),
    (lambda pack: reindexed(pack, "places-lt"), "must hold 'inat18', got 'places-lt'"),
    (lambda pack: reindexed(pack, part="other"), "must have the parts train and test, got other, test"),
    (lambda pack: reindexed(pack, shard="../x.tar"), r"must be the index of a pack \(ValueError: a shard must lie beside"),
    (lambda pack: reindexed(pack, sizes=[1]), NO_COLUMNS),
    (lambda pack: reindexed(pack, names=[1] * 24), NO_COLUMNS),
    (lambda pack: reindexed(pack, offsets=[0] * 24),
     "train-000000.tar' is damaged or not the one that was packed: it must hold '000000023"),
    (lambda pack: reindexed(pack, sizes=[9] * 24),
     "train-000000.tar' is damaged or not the one that was packed: it must hold '000000000"),
])
def test_a_damaged_pack_is_one_line(inat: Path, change: Callable[[Path], object], words: str) -> None:
    pack = packed(inat, inat / "inat18.tars")
    change(pack)
    with pytest.raises(UserError, match=words) as caught:
        INat18().load(inat)
    assert str(pack) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [lambda content: content[:3000], lambda content: bytes(3000) + content[3000:]])
def test_a_shard_that_changes_while_it_is_read_is_one_line(inat: Path, change: Callable[[bytes], bytes]) -> None:
    pack = packed(inat, inat / "inat18.tars")
    images = INat18().load(inat).train
    shard(change)(pack)
    with pytest.raises(UserError, match=r"^image '.*' cannot be read \('.*train-000000.tar' was cut or changed\)$"):
        images.fetch(torch.arange(24))
    shutil.rmtree(pack)
    with pytest.raises(UserError, match=r"^image '.*' cannot be read \(FileNotFoundError: No such file or directory\)$"):
        pickle.loads(pickle.dumps(images)).fetch(torch.arange(24))


def test_a_pack_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^'.*none.tars/index.jsonl' cannot be read: No such file or directory$"):
        INat18().load(tmp_path / "none.tars")


def test_a_damaged_image_is_named_within_its_pack(inat: Path) -> None:
    (inat / "inat18" / "train" / "5.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    images = INat18().load(packed(inat, inat / "inat18.tars")).train
    images.fetch(torch.arange(5))
    with pytest.raises(UserError, match=r"^image '.*inat18.tars/train/5.jpg' cannot be read \([^\n]*$"):
        images.fetch(torch.tensor([5]))
