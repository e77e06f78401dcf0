from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from ltbench.data.paths import Paths


def test_holds_names_of_any_encoding() -> None:
    names = [b"a/1.jpg", b"", b"with space.jpg", "ä/ü.jpg".encode(), b"caf\xe9.jpg"]
    paths = Paths(Path("root"), names)
    assert [os.fsencode(path) for path in paths] == [b"root/" + name for name in names]
    assert len(paths) == 5 and len(Paths(Path("root"), [])) == 0
    assert list(pickle.loads(pickle.dumps(paths))) == list(paths)


def test_moves_without_copying() -> None:
    paths = Paths(Path("here"), [b"1.jpg", b"2.jpg"])
    assert list(paths.move(Path("there"))) == ["there/1.jpg", "there/2.jpg"]
    assert paths[1] == "here/2.jpg"


def test_ends_where_it_ends() -> None:
    for index in (-1, 2):
        with pytest.raises(IndexError):
            Paths(Path("."), [b"1", b"2"])[index]
