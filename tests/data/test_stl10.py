from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ltbench.data.base import TensorImages
from ltbench.data.stl10 import Stl10LT
from ltbench.errors import UserError
from tests.list_factory import write_stl10

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 3, 96, 96), dtype=np.uint8)
LABELS = np.array([9, 0, 3, 3])


def test_reads_the_files(tmp_path: Path) -> None:
    write_stl10(tmp_path, IMAGES, LABELS)
    for where in (tmp_path, tmp_path / "stl10_binary"):
        parts = Stl10LT().load(where)
        assert isinstance(parts.train, TensorImages)
        assert np.array_equal(parts.train.pixels.numpy(), IMAGES)
        assert parts.train.labels.tolist() == parts.test.labels.tolist() == LABELS.tolist()


def test_bytes_run_down_the_columns(tmp_path: Path) -> None:
    """Place one pixel by the format's description: image, channel, column, row."""
    write_stl10(tmp_path, np.zeros_like(IMAGES), LABELS)
    content = bytearray(4 * 27_648)
    content[2 * 27_648 + 1 * 9216 + 5 * 96 + 7] = 255  # image 2, green, column 5, row 7
    (tmp_path / "stl10_binary" / "train_X.bin").write_bytes(bytes(content))
    train = Stl10LT().load(tmp_path).train
    assert isinstance(train, TensorImages)
    assert np.argwhere(train.pixels.numpy()).tolist() == [[2, 1, 7, 5]]


def test_damaged_files_are_named(tmp_path: Path) -> None:
    write_stl10(tmp_path, IMAGES[:3], LABELS)
    with pytest.raises(UserError, match=r"'.*train_X.bin' must hold 4 images of 27648 bytes, as 'train_y.bin' says, got 82944"):
        Stl10LT().load(tmp_path)
    write_stl10(tmp_path, IMAGES, LABELS + 1)
    with pytest.raises(UserError, match=r"'.*train_y.bin' must hold numbers from 1 to 10"):
        Stl10LT().load(tmp_path)
