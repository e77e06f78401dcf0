from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ltbench.data import content as digests
from ltbench.data.files import FileImages, sizes_and_times
from ltbench.data.paths import Paths


def write(folder: Path, contents: list[bytes]) -> Paths:
    folder.mkdir()
    for number, content in enumerate(contents):
        (folder / str(number)).write_bytes(content)
    return Paths(folder, [str(number).encode() for number in range(len(contents))])


def content_digest(paths: Paths, *, official: bool = False) -> str:
    return digests.content_digest(FileImages(paths, torch.zeros(len(paths), dtype=torch.int64), 8, 8), official=official)


def test_copies_have_one_digest_and_changes_another(tmp_path: Path) -> None:
    contents = [b"a", b"bb", b"c"]
    digests = [content_digest(write(tmp_path / name, held)) for name, held in (
        ("original", contents), ("copy", contents), ("longer", [b"a", b"bbb", b"c"]), ("other", [b"a", b"bx", b"c"]))]
    assert digests[0] == digests[1] and len(set(digests)) == 3


def test_of_many_files_64_are_read_and_all_are_measured(tmp_path: Path) -> None:
    large = bytes(4096)
    paths = write(tmp_path / "many", [large + b"x"] * 127)  # every second one is read: 0, 2, ..., 126
    first = content_digest(paths)
    (tmp_path / "many" / "1").write_bytes(large + b"y")
    assert content_digest(paths) == first
    (tmp_path / "many" / "126").write_bytes(large + b"y")
    assert content_digest(paths) != first
    (tmp_path / "many" / "126").write_bytes(large + b"x")
    (tmp_path / "many" / "1").write_bytes(large + b"xy")
    assert content_digest(paths) != first


@pytest.mark.parametrize(("ending", "told"), [
    ("bmp", True), ("tif", True), ("ppm", True), ("tga", True),  # of one size, whatever they show
    ("png", True), ("gif", True),  # plain drawings, of as many bytes each
    ("jpg", False),  # a million of them must not be read
])
def test_where_sizes_tell_little_every_image_is_read(tmp_path: Path, ending: str, told: bool) -> None:
    for color in ("blue", "lime"):
        Image.new("RGB", (40, 40), color).save(tmp_path / f"{color}.{ending}")
    blue, lime = ((tmp_path / f"{color}.{ending}").read_bytes() for color in ("blue", "lime"))
    assert len(blue) == len(lime)
    for number in range(127):  # every second one is read anyhow
        (tmp_path / f"{number}.{ending}").write_bytes(blue)
    paths = Paths(tmp_path, [f"{number}.{ending}".encode() for number in range(127)])
    first = content_digest(paths)
    (tmp_path / f"1.{ending}").write_bytes(lime)
    assert (content_digest(paths) != first) is told


def test_of_a_large_part_the_ends_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_WHOLE", 127 * 5000 - 1)
    paths = Paths(tmp_path, [f"{number}.bmp".encode() for number in range(127)])
    for path in paths:
        Path(path).write_bytes(bytes(5000))
    first = content_digest(paths)
    (tmp_path / "1.bmp").write_bytes(b"x" + bytes(4999))
    assert content_digest(paths) == first
    (tmp_path / "1.bmp").write_bytes(bytes(4999) + b"x")
    assert content_digest(paths) != first


def test_of_published_images_some_are_read_as_ever(tmp_path: Path) -> None:
    contents = [bytes(9 + number) for number in range(100)]
    expected = hashlib.sha256(np.array([len(content) for content in contents], dtype="<i8").tobytes())
    for index in np.unique(np.linspace(0, 99, 64).astype(int)):
        expected.update(hashlib.sha256(contents[index]).digest())
    assert content_digest(write(tmp_path / "photos", contents), official=True) == expected.hexdigest()
    assert content_digest(write(tmp_path / "mine", contents)) != expected.hexdigest()


def test_large_and_compressed_images_have_the_digest_that_they_had(tmp_path: Path) -> None:
    """As records of sets of photos name it: of all sizes, then of 64 contents."""
    contents = [bytes(4097 + number) for number in range(3)]
    expected = hashlib.sha256(np.array([4097, 4098, 4099], dtype="<i8").tobytes())
    for content in contents:
        expected.update(hashlib.sha256(content).digest())
    assert content_digest(write(tmp_path / "photos", contents)) == expected.hexdigest()


def test_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    paths = write(tmp_path / "some", [b"abc", b""])
    os.utime(tmp_path / "some" / "0", ns=(7, 7))
    os.utime(tmp_path / "some" / "1", ns=(8, 8))
    gone = Paths(paths.folder, [b"0", b"1", b"none"])
    assert sizes_and_times(gone).tolist() == [[3, 7], [0, 8], [-1, -1]]
    assert content_digest(gone) != content_digest(paths)
    assert content_digest(Paths(tmp_path, [])) == content_digest(Paths(tmp_path / "elsewhere", []))
