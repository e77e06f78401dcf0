from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from ltbench.data.lists import read_list
from ltbench.errors import UserError


def test_lines(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(b"train/a 1.jpg 2\ncaf\xe9.jpg\t0\r\n\nb.jpg 1")
    paths, labels = read_list(file, 3)
    assert labels.dtype == torch.int64 and labels.tolist() == [2, 0, 1]
    assert [os.fsencode(path) for path in paths] == [os.fsencode(tmp_path) + tail for tail in
                                                     (b"/train/a 1.jpg", b"/caf\xe9.jpg", b"/b.jpg")]


@pytest.mark.parametrize(("content", "words"), [
    (b"a.jpg 0\nb.jpg\n", r"line 2 of '.*list.txt' must read 'path label', got 'b.jpg'"),
    (b"a.jpg one\n", r"line 1 of '.*list.txt' must read 'path label', got 'a.jpg one'"),
    (b"a.jpg -1\n", r"line 1 of '.*' must read 'path label'"),
    (b"\xe9\n", r"line 1 of '.*' must read 'path label', got '\\udce9'"),
    (b"a.jpg " + b"9" * 5000, r"line 1 of '.*' must read 'path label', got 'a.jpg 9{74}'"),
    (b"a.jpg 0\n\nb.jpg 3\n", r"line 3 of '.*list.txt' must have a label from 0 to 2, got 3"),
    (b"a.jpg " + b"9" * 5000, r"line 1 of '.*' must read 'path label', got 'a.jpg 9+'$"),
    (b"a.jpg 0 0x1\n", r"line 1 of '.*' must read 'path label'"),
    (b" 1\n", r"line 1 of '.*' must read 'path label'"),
    (b"\n", r"'.*list.txt' lists no image"),
])
def test_damaged_lines_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        read_list(tmp_path / "list.txt", 3)
    assert "\n" not in str(caught.value)


CHALLENGE: dict[str, Any] = {
    "images": [{"id": 7, "file_name": "train_val2018/a.jpg"}, {"id": 3, "file_name": "train_val2018/b.jpg"}],
    "annotations": [{"id": 0, "image_id": 3, "category_id": 1}, {"id": 1, "image_id": 7, "category_id": 2}],
}


def test_json_of_the_challenge(tmp_path: Path) -> None:
    (tmp_path / "train2018.json").write_text(json.dumps(CHALLENGE), encoding="utf-8")
    paths, labels = read_list(tmp_path / "train2018.json", 3)
    assert [Path(path).name for path in paths] == ["a.jpg", "b.jpg"] and labels.tolist() == [2, 1]


@pytest.mark.parametrize(("change", "words"), [
    ({"annotations": CHALLENGE["annotations"][:1]}, r"'.*train2018.json' must hold images and annotations .*KeyError: 7"),
    ({"images": [{"id": 3, "file_name": "\ud800.jpg"}]}, r"'.*train2018.json' must hold images .* \(UnicodeEncodeError"),
    ({"images": None}, r"'.*train2018.json' must hold images and annotations in iNaturalist's form \(TypeError"),
    ({"annotations": [{"image_id": 3, "category_id": 1}, {"image_id": 7, "category_id": 8142}]},
     r"image 'train_val2018/a.jpg' of '.*' must have a label from 0 to 2, got 8142"),
])
def test_damaged_json_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    (tmp_path / "train2018.json").write_text(json.dumps({**CHALLENGE, **change}), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        read_list(tmp_path / "train2018.json", 3)


def test_a_list_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'.*none.txt' cannot be read: No such file"):
        read_list(tmp_path / "none.txt", 3)


def test_published_lists(data_root: Path) -> None:
    folder = data_root / "lt-lists"
    if not folder.is_dir():
        pytest.skip("LTBENCH_DATA holds no lt-lists")
    places, labels = read_list(folder / "places_lt" / "Places_LT_train.txt", 365)
    counts = torch.bincount(labels)
    assert (len(places), int(counts.max()), int(counts.min())) == (62_500, 4980, 5)
    assert [int(part.sum()) for part in (counts > 100, (counts >= 20) & (counts <= 100), counts < 20)] == [131, 163, 71]
    _, labels = read_list(folder / "inaturalist18" / "iNaturalist18_val.txt", 8142)
    assert torch.bincount(labels).tolist() == [3] * 8142
    _, labels = read_list(folder / "imagenet_lt" / "ImageNet_LT_test.txt", 1000)
    assert torch.bincount(labels).tolist() == [50] * 1000
