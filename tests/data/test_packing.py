from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ltbench.cli.main import main
from ltbench.data import packing
from ltbench.data.class_folders import open_folder
from ltbench.data.files import FileImages
from ltbench.data.own_tars import open_tar
from ltbench.data.pack_index import read_index
from ltbench.data.packing import write_pack
from ltbench.data.parts import Parts
from ltbench.data.paths import Paths
from ltbench.errors import UserError
from tests.support.list_factory import write_jpegs
from tests.support.own_images import write_digits


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    names = write_jpegs(tmp_path / "images", np.random.default_rng(0).integers(0, 256, (6, 16, 16), dtype=np.uint8))
    images = FileImages(Paths(tmp_path / "images", [name.encode() for name in names]), torch.arange(6), 8, 8)
    return Parts(images, images)


def refused(file: Path, parts: Parts, words: str) -> None:
    before = sorted(file.parent.iterdir())
    with pytest.raises(UserError, match=words) as caught:
        write_pack(file, "x", parts)
    assert "\n" not in str(caught.value)
    assert sorted(file.parent.iterdir()) == before  # nothing half-written


def test_missing_images_are_counted_before_anything_is_written(tmp_path: Path, parts: Parts) -> None:
    for name in ("2.jpg", "4.jpg"):
        (tmp_path / "images" / name).unlink()
    refused(tmp_path / "x.tars", parts, r"^4 images cannot be read, the first of them '.*2.jpg' \(No such file or directory\)$")


def test_an_image_that_goes_away_meanwhile(tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileImages, "stored_bytes", lambda self, index: 1)
    (tmp_path / "images" / "3.jpg").unlink()
    refused(tmp_path / "x.tars", parts, r"^image '.*3.jpg' is not there$")


def test_a_file_that_is_there_is_kept(tmp_path: Path, parts: Parts) -> None:
    file = tmp_path / "x.tars"
    file.write_bytes(b"mine")
    refused(file, parts, r"^'.*x.tars' is there already; --force replaces it$")
    assert file.read_bytes() == b"mine"
    before = sorted(tmp_path.iterdir())
    for _ in range(2):  # in place of a file, and of a pack
        assert [len(shard.names) for shard in write_pack(file, "x", parts, replace=True)] == [6, 6]
        assert read_index(file)[0] == "x"
        assert sorted(tmp_path.iterdir()) == before


def test_a_disk_without_room(tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [-(-file.stat().st_size // 512) * 512 for file in (tmp_path / "images").iterdir()]
    # Of each part what ends its tar, and of each image two headers, its label, and a line of the index.
    free = 2 * (10240 + sum(sizes) + 6 * (3 * 512 + 40 + len("0.jpg")))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12 - free, free - 1))
    refused(tmp_path / "x.tars", parts, r"^'.*' must have \d\.\d\d GB free for the pack, got \d\.\d\d GB$")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12 - free, free))
    write_pack(tmp_path / "x.tars", "x", parts)
    assert free * 0.8 < sum(file.stat().st_size for file in (tmp_path / "x.tars").iterdir()) <= free


def test_a_disk_that_fills_up(tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(tmp_path / "x.tars", parts, r"^'.*x.tars' cannot be written: No space left on device$")


def test_a_folder_that_is_not_there(tmp_path: Path, parts: Parts) -> None:
    with pytest.raises(UserError, match=r"^'.*x.tars' cannot be written: No such file or directory$"):
        write_pack(tmp_path / "none" / "x.tars", "x", parts)


def test_a_set_in_memory_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "pack", "digits-lt", "--out", str(tmp_path / "x.tars")]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told == "ltbench: a set must have its images in files of their own to be packed; 'digits-lt' is one tensor in memory"


def test_another_ending_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "pack", "digits-lt", "--out", "x.bin"]) == 2
    assert capsys.readouterr().err == "ltbench: --out must end with .tars, got 'x.bin'\n"


def test_a_pack_of_ones_own_images_is_read_as_tars(tmp_path: Path, digits_batch: tuple[object, object],
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_digits(tmp_path / "digits", digits_batch, per_class=3)
    assert main(["data", "pack", f"folder:{folder}", "--out", str(tmp_path / "x.tars")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"next: ltbench run --dataset tar:{tmp_path}/x.tars"
    packed, parts = open_tar(str(tmp_path / "x.tars")).load(None), open_folder(str(folder)).load(None)
    for mine, theirs in ((packed.train, parts.train), (packed.test, parts.test)):
        assert torch.equal(mine.labels, theirs.labels)
        assert torch.equal(mine.fetch(torch.arange(10)), theirs.fetch(torch.arange(10)))


def test_two_packs_are_the_same_bytes_in_shards_of_bounded_size(tmp_path: Path, parts: Parts,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_SHARD", 16_000)  # two images, and 10 kB that end a tar
    shards = write_pack(tmp_path / "a.tars", "x", parts)
    assert [(shard.shard, len(shard.names)) for shard in shards] == [
        (f"{part}-00000{number}.tar", 2) for part in ("train", "test") for number in range(3)]
    for file in (tmp_path / "images").iterdir():
        os.utime(file, ns=(1, 1))
    write_pack(tmp_path / "b.tars", "x", parts)
    assert len(list((tmp_path / "a.tars").iterdir())) == 7
    for file in (tmp_path / "a.tars").iterdir():
        assert file.read_bytes() == (tmp_path / "b.tars" / file.name).read_bytes()
        assert file.suffix != ".tar" or file.stat().st_size <= 16_000
    monkeypatch.setattr(packing, "_SHARD", 1)
    assert [len(shard.names) for shard in write_pack(tmp_path / "c.tars", "x", parts)] == [1] * 12


def test_a_pack_that_cannot_take_the_place_of_the_old_leaves_it(tmp_path: Path, parts: Parts,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    write_pack(tmp_path / "x.tars", "x", parts)
    before = sorted(tmp_path.rglob("*"))
    moves = []

    def move(source: Path, target: Path) -> None:
        moves.append(target)
        if len(moves) == 2:
            raise OSError(5, "Input/output error")
        source.rename(target)

    monkeypatch.setattr(os, "rename", move)
    with pytest.raises(UserError, match=r"^'.*x.tars' cannot be written: Input/output error$"):
        write_pack(tmp_path / "x.tars", "x", parts, replace=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_killed_pack_left_is_removed(tmp_path: Path, parts: Parts) -> None:
    left = tmp_path / ".x.tars.0123456789ab.tmp"
    left.mkdir()
    (left / "train-000000.tar").write_bytes(b"half")
    os.utime(left, ns=(7, 7))
    write_pack(tmp_path / "x.tars", "x", parts)
    assert not left.exists()
