from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import torch

from ltbench.method.class_means import class_means
from ltbench.system.mapped import map_rows, release, row_blocks, take_rows

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rows"
    path.write_bytes(ROWS.tobytes())
    return path


def test_a_mapped_file_is_a_tensor_that_outlives_it(path: Path) -> None:
    with path.open("rb") as file:
        rows = map_rows(file, 3)
    path.unlink()
    gc.collect()
    assert rows.tolist() == ROWS.tolist()


@pytest.mark.filterwarnings("error")
def test_what_is_written_never_reaches_the_file(path: Path) -> None:
    with path.open("rb") as file:
        rows = map_rows(file, 3)
    rows[1] += 100
    assert path.read_bytes() == ROWS.tobytes()
    release(rows)
    assert rows.tolist() == ROWS.tolist()


def test_a_part_of_a_mapped_tensor_releases_it_and_others_are_left_alone(path: Path) -> None:
    with path.open("rb") as file:
        rows = map_rows(file, 3)
    rows[0] = -1
    copy = rows.clone()
    release(copy)
    assert rows[0].tolist() == [-1, -1, -1]
    release(rows[2:])
    assert rows[0].tolist() == [0, 1, 2]


def test_blocks_come_in_order_and_hold_every_row_once() -> None:
    features, labels = torch.arange(10.0).reshape(5, 2), torch.arange(5)
    blocks = list(row_blocks(features, labels, 2))
    assert [len(part) for part, _ in blocks] == [2, 2, 1]
    assert torch.equal(torch.cat([part for part, _ in blocks]), features)
    assert torch.equal(torch.cat([where for _, where in blocks]), labels)


def test_a_block_takes_8_mebibytes() -> None:
    features = torch.empty(1, 1).expand(5000, 2048)
    assert [len(part) for part, _ in row_blocks(features, torch.zeros(5000))] == [1024, 1024, 1024, 1024, 904]


def test_class_means_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = torch.randn(1000, 8), torch.arange(1000) % 7
    whole = class_means(features, labels, 7)
    monkeypatch.setattr("ltbench.system.mapped._BLOCK", 8 * 4 * 13)
    assert torch.equal(class_means(features, labels, 7), whole)


@pytest.mark.filterwarnings("error")
def test_rows_are_taken_in_the_order_asked_for(path: Path) -> None:
    with path.open("rb") as file:
        rows = map_rows(file, 3)
    path.unlink()
    where = torch.tensor([2, 0, 3, 2])
    for source in (rows, rows.clone()):
        taken = take_rows(source, where)
        assert taken.tolist() == ROWS[where.numpy()].tolist()
        taken += 1
    assert take_rows(rows[1:], torch.tensor([0, 2])).tolist() == ROWS[[1, 3]].tolist()
    assert take_rows(rows[:, 1:], torch.tensor([2])).tolist() == ROWS[[2], 1:].tolist()
    assert rows.tolist() == ROWS.tolist()
