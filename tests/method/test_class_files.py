from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ltbench.errors import UserError
from ltbench.method.class_files import ClassFile, named_files

SHA256 = hashlib.sha256(b"words").hexdigest()


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_bytes(b"words")
    return tmp_path


def test_a_pair_of_hyperparameters_names_a_file() -> None:
    values = {"words_file": "a", "words_sha256": "b", "net_file": "none", "net_sha256": "none",
              "lone_file": "c", "other_sha256": "d"}
    assert [(file.option, file.name, file.sha256) for file in named_files(values)] == [("words", "a", "b"), ("net", "", "")]


def test_a_file_is_opened_and_compared(place: Path) -> None:
    file = ClassFile("words", "a file", "words.txt", SHA256[:16])
    file.check()
    (place / "words.txt").write_bytes(b"others")
    with pytest.raises(UserError, match=r"words_sha256 must be [0-9a-f]{16} \(or more of it\) for words.txt, got"):
        file.check()
    with pytest.raises(UserError, match="words_file must be a file that can be read, got gone.txt: No such file or directory"):
        ClassFile("words", "a file", "gone.txt", SHA256).check()
    with pytest.raises(UserError, match="words_file must be a file that can be read, got .: Is a directory"):
        ClassFile("words", "a file", ".", SHA256).check()
    with pytest.raises(UserError, match="words_file must be below the folder"):
        ClassFile("words", "a file", "/words.txt", SHA256).check()
