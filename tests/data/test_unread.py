from __future__ import annotations

import gzip
import os
import zipfile
from pathlib import Path

import pytest

from ltbench.data.class_folders import open_folder
from ltbench.data.unread import is_archive
from ltbench.errors import UserError
from tests.support.own_images import write_classes

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0"


@pytest.mark.parametrize(("name", "content", "told"), [
    ("a/photo.HEIC", HEIC, True), ("a/night/photo.jpg.1", b"\xff\xd8\xff\xe0", True), ("b/photo", b"\x89PNG\r\n", True),
    ("b/scan.dcm", b"\0" * 128 + b"DICM", True), ("b/more.zip", b"PK\3\4", True), ("a/notes.txt", b"Not a picture.", False),
    ("a/Thumbs.db", b"\xd0\xcf\x11\xe0", False), ("a/.hidden", HEIC, False), ("a/film.mp4", b"\0\0\0\x20ftypisom", False)])
def test_pictures_of_other_names_are_told(name: str, content: bytes, told: bool, tmp_path: Path,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    root = write_classes(tmp_path / "pets", {"a": 3, "b": 3})
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(content)
    assert len(open_folder(str(root)).load(None).train.labels) == 4
    assert capsys.readouterr().err == (
        "warning: folder:pets leaves out files that are no images by their names and may hold some, at least 1, the first "
        f"{str(root / name)!r}\n" if told else "")


@pytest.mark.parametrize(("parts", "name", "told"), [
    (True, "test.zip", "train"), (True, "testset.zip", "train"), (True, "val.tar.gz", "train"), (True, "train.zip", None),
    (True, "pets.zip", None), (True, "train/c.zip", "train"), (False, "c.zip", "pets"), (False, "a.zip", None),
    (False, "pets.zip", None)])
def test_an_archive_beside_is_told(parts: bool, name: str, told: str | None, tmp_path: Path,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    """What was unpacked into a class, a part or the whole set may lie on beside it."""
    root = tmp_path / "pets"
    write_classes(root / "train" if parts else root, {"a": 3, "b": 3})
    (root / name).write_bytes(gzip.compress(b"") if name.endswith("gz") else b"PK\3\4")
    open_folder(str(root))
    assert capsys.readouterr().err == (f"warning: {Path(name).name!r} beside {told!r} is not read, for it is an archive: a fifth "
                                       "of each class is set apart\n" if told else "")


@pytest.mark.parametrize("name", ["c", "a/night", "train", "test"])
def test_a_link_to_a_folder_that_is_not_there_is_refused(name: str, tmp_path: Path) -> None:
    """A class, a part, or some of a class's images would be missed in silence."""
    root = write_classes(tmp_path / "pets", {"a": 3, "b": 3})
    (root / name).symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=f"^{str(root / name)!r} cannot be read: it is a link to what is not there$"):
        open_folder(str(root))


def test_a_link_to_a_file_that_is_not_there_is_left_alone(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "pets", {"a": 3, "b": 3})
    for name in ("notes.txt", "a/labels.csv"):
        (root / name).symlink_to(tmp_path / "nowhere")
    assert len(open_folder(str(root)).load(None).train.labels) == 4


def test_archives_are_known_by_how_they_begin(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x", "w") as held:
        held.writestr("a.txt", "")
    (tmp_path / "y.zip").write_bytes(b"no archive")
    os.mkfifo(tmp_path / "z")
    assert [is_archive(os.fsencode(tmp_path / name)) for name in ("x", "y.zip", "z")] == [True, False, False]
