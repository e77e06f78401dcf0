from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import pytest

from ltbench.data.paths import Paths


def test_holds_names_of_any_encoding() -> None:
    names = [b"a/1.jpg", b"", b"with space.jpg", "ä/ü.jpg".encode(), b"caf\xe9.jpg"]
    paths = Paths(Path("root"), names)
    assert [os.fsencode(path) for path in paths] == [b"root/" + name for name in names]
    assert list(paths.names()) == names
    assert len(paths) == 5 and len(Paths(Path("root"), [])) == 0
    assert list(pickle.loads(pickle.dumps(paths))) == list(paths)


def test_moves_without_copying() -> None:
    paths = Paths(Path("here"), [b"1.jpg", b"2.jpg"])
    assert list(paths.move(Path("there"))) == ["there/1.jpg", "there/2.jpg"]
    assert paths[1] == "here/2.jpg"


def test_the_digest_is_of_names_and_order_and_of_no_folder() -> None:
    def digest(folder: str, *names: bytes) -> str:
        return Paths(Path(folder), names).digest

    first = digest("here", b"1.jpg", b"2.jpg")
    assert first == digest("there", b"1.jpg", b"2.jpg") == Paths(Path("here"), [b"1.jpg", b"2.jpg"]).move(Path("there")).digest
    # The sum of the ends 0, 5 and 10 as little-endian int64, and of the names.
    assert first == hashlib.sha256(bytes([0] * 8 + [5] + [0] * 7 + [10] + [0] * 7) + b"1.jpg2.jpg").hexdigest()
    others = [digest("here", *names) for names in ([b"2.jpg", b"1.jpg"], [b"1.jpg2.jpg"], [b"1.jpg2", b".jpg"], [b"1.jpg"])]
    assert len({first, *others}) == 5


def test_ends_where_it_ends() -> None:
    for index in (-1, 2):
        with pytest.raises(IndexError):
            Paths(Path("."), [b"1", b"2"])[index]
