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


@pytest.mark.parametrize("content", [
    b"\xef\xbb\xbfa/0 1.png 0\nb.png 1\n",  # a byte-order mark, as Windows' editor writes it
    b"a/0 1.png 0\r\nb.png 1\r\n",
    b"a\\0 1.png 0\r\nb.png 1\r\n",
    b'"a/0 1.png" 0\n"b.png"\t1\n',
    b"'a/0 1.png' 0\n'b.png', '1'\n",
    b"a/0 1.png,0\nb.png, 1\n",
    b'"a/0 1.png","0"\n"b.png","1"\n',
    b"path,label\na/0 1.png,0\nb.png,1\n",
    b'\xef\xbb\xbf"file_name";"class_id"\r\n"a/0 1.png";"0"\r\n"b.png";"1"',
    b"image label\n\na/0 1.png 0\nb.png 1",
    b"Image Path,Label\na/0 1.png,0\nb.png,1\n",
])
def test_lists_as_other_programs_write_them(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.csv").write_bytes(content)
    paths, labels = read_list(tmp_path / "list.csv", 2)
    assert list(paths.names()) == [b"a/0 1.png", b"b.png"] and labels.tolist() == [0, 1]


def test_names_keep_what_is_theirs(tmp_path: Path) -> None:
    """A comma, a quote, digits and, where such a file is there, a backslash."""
    (tmp_path / "a\\b.png").touch()
    (tmp_path / "list.txt").write_bytes(b'a\\b.png 0\ndogs, cats/1 2.png 1\n"say ""a"", b.png",1\n')
    paths, labels = read_list(tmp_path / "list.txt", 2)
    assert list(paths.names()) == [b"a\\b.png", b"dogs, cats/1 2.png", b'say "a", b.png'] and labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize(("content", "words"), [
    (b"path,label\nfile,label\na.png,0\n", "line 2 of '.*' must read 'path label', got 'file,label'"),
    (b"a.png 0\npath label\n", "line 2 of '.*' must read 'path label', got 'path label'"),
    (b"a.png,cat\n", "line 1 of '.*' must read 'path label', got 'a.png,cat'"),
    (b"label,path\n0,a.png\n", "line 1 of '.*' must read 'path label', got 'label,path'"),
    ("a.png 0\n".encode("utf-16"), "'.*list.txt' must be UTF-8 text or plain bytes, got UTF-16"),
    (b"a.png 0\nb.png 1\na.png 1\n", "image 'a.png' of '.*list.txt' must have one label, got 0 and 1"),
    (b"a.png 0\nb\0.png 1\n", r"'.*list.txt' must list paths without null characters, got 'b\\x00.png'"),
    (b"x\\a.png 0\nx/a.png 1\n", "image 'x/a.png' of '.*list.txt' must have one label, got 0 and 1"),
])
def test_what_cannot_be_meant_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(UserError, match=f"^{words}$"):
        read_list(tmp_path / "list.txt", 3)


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
    ({"annotations": [{"image_id": 3, "category_id": 1.7}, {"image_id": 7, "category_id": 2}]},
     r"'.*' must hold images and annotations in iNaturalist's form \(ValueError: category_id must be a whole number, got 1.7\)"),
    ({"annotations": [*CHALLENGE["annotations"], {"id": 2, "image_id": 3, "category_id": 0}]},
     r"^image 'train_val2018/b.jpg' of '.*train2018.json' must have one label, got 1 and 0$"),
    ({"annotations": [{"image_id": 3, "category_id": float("inf")}]},
     r"'.*' must hold images and annotations in iNaturalist's form \(OverflowError: "),
    ({"images": [{"id": 7, "file_name": ["a.jpg"]}]},
     r"'.*' must hold images and annotations in iNaturalist's form \(TypeError: file_name must be text, got \['a.jpg'\]\)"),
    ({"images": [{"id": 7, "file_name": "a\0.jpg"}]}, "'.*train2018.json' must list paths without null characters, got "),
    ({"images": [{"id": 7, "file_name": "a.jpg"}, {"id": 3, "file_name": "a.jpg"}]},
     r"^image 'a.jpg' of '.*train2018.json' must have one label, got 2 and 1$"),
])
def test_damaged_json_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    (tmp_path / "train2018.json").write_text(json.dumps({**CHALLENGE, **change}), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        read_list(tmp_path / "train2018.json", 3)


def test_json_of_brackets_in_brackets_is_named(tmp_path: Path) -> None:
    (tmp_path / "train2018.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(UserError, match=r"^'.*' must hold images and annotations in iNaturalist's form \(RecursionError: .*\)$"):
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
