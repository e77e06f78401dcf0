from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from ltbench.data import files
from ltbench.data.copies import first_copies
from ltbench.data.encoded import END
from ltbench.data.files import FileImages
from ltbench.data.paths import Paths


def source(folder: Path, contents: list[bytes]) -> FileImages:
    folder.mkdir(parents=True)
    for number, content in enumerate(contents):
        (folder / str(number)).write_bytes(content)
    names = [str(number).encode() for number in range(len(contents))]
    return FileImages(Paths(folder, names), torch.zeros(len(contents), dtype=torch.int64), 8, 8)


LONG = b"x" * 5000  # more than what is read of an end


def test_copies_stand_for_the_first(tmp_path: Path) -> None:
    held = source(tmp_path / "one", [b"a", b"bb", b"a", b"c", LONG, b"y" + LONG[1:], LONG, b"", b""])
    assert first_copies([held]).tolist() == [0, 1, 0, 3, 4, 5, 4, 7, 8]  # two empty files are no copies: neither is an image
    os.unlink(held.paths[2])
    assert first_copies([held]).tolist() == [0, 1, 2, 3, 4, 5, 4, 7, 8]
    assert first_copies([held.take(torch.tensor([], dtype=torch.int64))]).tolist() == []


def test_between_sources_copies_within_one_do_not_count(tmp_path: Path) -> None:
    one, two = source(tmp_path / "one", [b"a", b"a", b"b", b"c"]), source(tmp_path / "two", [b"d", b"d", b"c", b"c"])
    assert first_copies([one, two], between=True).tolist() == [0, 1, 2, 3, 4, 5, 3, 3]
    assert first_copies([one, two]).tolist() == [0, 0, 2, 3, 4, 4, 3, 3]


def test_as_a_slow_comparison_of_everything_has_it(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    contents = [bytes(generator.integers(0, 2, int(length), dtype=np.uint8)) for length in generator.integers(1, 5, 120)]
    held = source(tmp_path / "one", contents)
    assert first_copies([held]).tolist() == [contents.index(content) for content in contents]
    halves = [held.take(torch.arange(60)), held.take(torch.arange(60, 120))]
    shared = set(contents[:60]) & set(contents[60:])
    expected = [contents.index(content) if content in shared else place for place, content in enumerate(contents)]
    assert first_copies(halves, between=True).tolist() == expected


def test_only_what_could_agree_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[str, int]] = []
    original = files.FileImages._read
    monkeypatch.setattr(files.FileImages, "_read",
                        lambda self, path, end: read.append((Path(path).name, end)) or original(self, path, end))
    held = source(tmp_path / "one", [b"a" * 9, b"b" * 8, b"c" * 8, LONG, b"y" + LONG[1:], LONG + b"z"])
    assert first_copies([held]).tolist() == list(range(6))
    assert sorted(read) == [("1", END), ("2", END), ("3", 0), ("3", END), ("4", 0), ("4", END)]
