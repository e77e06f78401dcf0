from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets

from ltbench.data.parts import TensorImages
from ltbench.data.stl10 import Stl10LT
from ltbench.errors import UserError
from tests.support.list_factory import md5_of, write_stl10

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 3, 96, 96), dtype=np.uint8)
LABELS = np.array([9, 0, 3, 3])


def list_as_official(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision's lists name the sums of the fake files."""
    for part in ("train", "test"):
        names = [f"{part}_X.bin", f"{part}_y.bin"]
        monkeypatch.setattr(torchvision.datasets.STL10, f"{part}_list",
                            [[name, md5_of(root / "stl10_binary" / name)] for name in names] + [["unlabeled_X.bin", ""]])


def test_reads_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list_as_official(write_stl10(tmp_path, IMAGES, LABELS), monkeypatch)
    for where in (tmp_path, tmp_path / "stl10_binary"):
        parts = Stl10LT().load(where)
        assert isinstance(parts.train, TensorImages)
        assert np.array_equal(parts.train.pixels.numpy(), IMAGES)
        assert parts.train.labels.tolist() == parts.test.labels.tolist() == LABELS.tolist()


def test_bytes_run_down_the_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Place one pixel by the format's description: image, channel, column, row."""
    write_stl10(tmp_path, np.zeros_like(IMAGES), LABELS)
    content = bytearray(4 * 27_648)
    content[2 * 27_648 + 1 * 9216 + 5 * 96 + 7] = 255  # image 2, green, column 5, row 7
    (tmp_path / "stl10_binary" / "train_X.bin").write_bytes(bytes(content))
    list_as_official(tmp_path, monkeypatch)
    train = Stl10LT().load(tmp_path).train
    assert isinstance(train, TensorImages)
    assert np.argwhere(train.pixels.numpy()).tolist() == [[2, 1, 7, 5]]


def test_files_of_somebody_else_are_refused(tmp_path: Path) -> None:
    write_stl10(tmp_path, IMAGES, LABELS)
    with pytest.raises(UserError, match=r"damaged file: '.*train_X.bin' is not the official one \(md5 differs\)"):
        Stl10LT().load(tmp_path)


def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list_as_official(write_stl10(tmp_path, IMAGES, LABELS), monkeypatch)

    def refuse(path: Path, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(np, "fromfile", refuse)
    with pytest.raises(UserError, match=r"^'.*train_X.bin' cannot be read: Permission denied$"):
        Stl10LT().load(tmp_path)
    monkeypatch.setattr(torchvision.datasets.utils, "check_md5", lambda path, md5: refuse(path))
    with pytest.raises(UserError, match=r"^'.*train_X.bin' cannot be read: Permission denied$"):
        Stl10LT().load(tmp_path)


def test_damaged_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list_as_official(write_stl10(tmp_path, IMAGES[:3], LABELS), monkeypatch)
    with pytest.raises(UserError, match=r"'.*train_X.bin' must hold 4 images of 27648 bytes, as 'train_y.bin' says, got 82944"):
        Stl10LT().load(tmp_path)
    list_as_official(write_stl10(tmp_path, IMAGES, LABELS + 1), monkeypatch)
    with pytest.raises(UserError, match=r"'.*train_y.bin' must hold numbers from 1 to 10"):
        Stl10LT().load(tmp_path)
