from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ltbench.cli.main import main
from ltbench.data.files import FileImages
from ltbench.data.pack_format import read_index
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
    refused(tmp_path / "x.ltpack", parts, r"^4 images cannot be read, the first of them '.*2.jpg' \(No such file or directory\)$")


def test_an_image_that_goes_away_meanwhile(tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileImages, "stored_bytes", lambda self, index: 1)
    (tmp_path / "images" / "3.jpg").unlink()
    refused(tmp_path / "x.ltpack", parts, r"^image '.*3.jpg' is not there$")


def test_a_file_that_is_there_is_kept(tmp_path: Path, parts: Parts) -> None:
    file = tmp_path / "x.ltpack"
    file.write_bytes(b"mine")
    refused(file, parts, r"^'.*x.ltpack' is there already; --force replaces it$")
    assert file.read_bytes() == b"mine"
    assert write_pack(file, "x", parts, replace=True) == {"train": 6, "test": 6}
    assert read_index(file)[0] == "x"


def test_a_disk_without_room(tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(file.stat().st_size for file in (tmp_path / "images").iterdir())
    free = 2 * (size + 3 * 7 * 8 + 6 * len("0.jpg")) + 1024  # images, three numbers and a name each, and what tells of them
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12 - free, free - 1))
    refused(tmp_path / "x.ltpack", parts, r"^'.*' must have \d\.\d\d GB free for the pack, got \d\.\d\d GB$")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12 - free, free))
    write_pack(tmp_path / "x.ltpack", "x", parts)


def test_a_disk_that_fills_up(tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(tmp_path / "x.ltpack", parts, r"^'.*x.ltpack' cannot be written: No space left on device$")


def test_a_folder_that_is_not_there(tmp_path: Path, parts: Parts) -> None:
    with pytest.raises(UserError, match=r"^'.*x.ltpack' cannot be written: No such file or directory$"):
        write_pack(tmp_path / "none" / "x.ltpack", "x", parts)


def test_a_set_in_memory_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "pack", "digits-lt", "--out", str(tmp_path / "x.ltpack")]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told == "ltbench: a set must have its images in files of their own to be packed; 'digits-lt' is one tensor in memory"


def test_another_ending_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "pack", "digits-lt", "--out", "x.bin"]) == 2
    assert capsys.readouterr().err == "ltbench: --out must end with .ltpack, got 'x.bin'\n"


def test_what_no_run_would_find_is_not_packed(tmp_path: Path, digits_batch: tuple[object, object],
                                              capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_digits(tmp_path / "digits", digits_batch, per_class=3)
    assert main(["data", "pack", f"folder:{folder}", "--out", str(tmp_path / "x.ltpack")]) == 2
    assert capsys.readouterr().err.startswith("ltbench: folder:digits cannot be packed: a pack is found by the name of its set")
    assert not (tmp_path / "x.ltpack").exists()
