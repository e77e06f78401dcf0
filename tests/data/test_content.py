from __future__ import annotations

import os
from pathlib import Path

import torch

from ltbench.data import content as digests
from ltbench.data.files import FileImages, sizes_and_times
from ltbench.data.paths import Paths


def write(folder: Path, contents: list[bytes]) -> Paths:
    folder.mkdir()
    for number, content in enumerate(contents):
        (folder / str(number)).write_bytes(content)
    return Paths(folder, [str(number).encode() for number in range(len(contents))])


def content_digest(paths: Paths) -> str:
    return digests.content_digest(FileImages(paths, torch.zeros(len(paths), dtype=torch.int64), 8, 8))


def test_copies_have_one_digest_and_changes_another(tmp_path: Path) -> None:
    contents = [b"a", b"bb", b"c"]
    digests = [content_digest(write(tmp_path / name, held)) for name, held in (
        ("original", contents), ("copy", contents), ("longer", [b"a", b"bbb", b"c"]), ("other", [b"a", b"bx", b"c"]))]
    assert digests[0] == digests[1] and len(set(digests)) == 3


def test_of_many_files_64_are_read_and_all_are_measured(tmp_path: Path) -> None:
    paths = write(tmp_path / "many", [b"x"] * 127)  # every second one is read: 0, 2, ..., 126
    first = content_digest(paths)
    (tmp_path / "many" / "1").write_bytes(b"y")
    assert content_digest(paths) == first
    (tmp_path / "many" / "126").write_bytes(b"y")
    assert content_digest(paths) != first
    (tmp_path / "many" / "126").write_bytes(b"x")
    (tmp_path / "many" / "1").write_bytes(b"xy")
    assert content_digest(paths) != first


def test_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    paths = write(tmp_path / "some", [b"abc", b""])
    os.utime(tmp_path / "some" / "0", ns=(7, 7))
    os.utime(tmp_path / "some" / "1", ns=(8, 8))
    gone = Paths(paths.folder, [b"0", b"1", b"none"])
    assert sizes_and_times(gone).tolist() == [[3, 7], [0, 8], [-1, -1]]
    assert content_digest(gone) != content_digest(paths)
    assert content_digest(Paths(tmp_path, [])) == content_digest(Paths(tmp_path / "elsewhere", []))
