"""Tar files that are no set of images are refused in one line, which names the member."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from ltbench.data.encoded import USUAL
from ltbench.data.own_tars import open_tar
from ltbench.errors import UserError
from tests.support.tar_factory import samples, write_tar


def links(file: Path) -> Path:
    with tarfile.open(file, "w") as tar:
        link = tarfile.TarInfo("a/0.png")
        link.type, link.linkname = tarfile.LNKTYPE, "a/1.png"
        tar.addfile(link)
    return file


@pytest.mark.parametrize(("members", "message"), [
    ([], f"tar:x must hold {USUAL}, got none"),
    ([("0.txt", b""), ("0.cls", b"1")], f"tar:x must hold {USUAL}, got none"),
    (samples([0, 0]), "tar:x must have at least 2 classes, got 1"),
    (samples([0, 1, 0]), "class '1' must have at least 2 images, one of them to test on, got 1"),
    (samples([0, 2, 0]), "tar:x must have a training image of every class from 0 to 2, got none of 1"),
    (samples([1, 2, 1]), "tar:x must have a training image of every class from 0 to 2, got none of 0"),
    (samples([0, 1, -1]), "tar:x must have a training image of every class from 0 to 1, got -1"),
    ([*samples([0, 1]), ("a/9.png", b"")],
     "image 'a/9.png' of '{}' must have its class beside it, in a .cls or as 'label' in a .json"),
    ([("9.png", b"")],
     "image '9.png' of '{}' must have its class beside it, in a .cls or as 'label' in a .json, or lie in a folder of its class"),
    ([*samples([0]), ("00000.jpg", b"")], "key '00000' of '{}' must have one image, got '00000.png' and '00000.jpg'"),
    ([*samples([0, 1, 0, 1]), ("00002.cls", b"1")], "key '00002' of '{}' must have one class, got '0' and '1'"),
    ([("0.json", b'{"label": 5}'), ("0.png", b""), ("0.cls", b"cat")], "key '0' of '{}' must have one class, got '5' and 'cat'"),
    ([("a/0.png", b""), ("a/0.json", b'{"label": 1}'), ("a/0.more.json", b'{"label": 2}'), ("a/0.cls", b"1")],
     "key 'a/0' of '{}' must have one class, got '1' and '2'"),
    ([("a/0.png", b""), ("./a/0.png", b"")], "'{}' must hold 'a/0.png' once"),
    ([("0.png", b""), ("0.cls", b"")], "member '0.cls' of '{}' must hold the number or the name of a class, got ''"),
    ([("0.png", b""), ("0.json", b'{"label": 1.5}')],
     "member '0.json' of '{}' must hold the number or the name of a class, got '1.5'"),
    ([("0.png", b""), ("0.json", b'{"label": true}')],
     "member '0.json' of '{}' must hold the number or the name of a class, got 'True'"),
    ([("0.png", b""), ("0.json", b"{")],
     "member '0.json' of '{}' must hold the class of an image as text, or JSON (Expecting property name enclosed in double "
     "quotes: line 1 column 2 (char 1))"),
    ([("0.png", b""), ("0.json", b'{"label": "\\ud800"}'), *samples(["a"], start=1)],
     "tar:x must have classes whose names are text, got '\\ud800'"),
    ([("0.png", b""), ("0.cls", b"\xff")],
     "member '0.cls' of '{}' must hold the class of an image as text, or JSON ('utf-8' codec can't decode byte 0xff in position "
     "0: invalid start byte)"),
    ([("train/a/0.png", b""), ("train/b/0.png", b""), ("test/c/0.png", b"")],
     "'{}' must hold no class that the training part lacks, got 'c'"),
    ([("train/a/0.png", b""), ("train/b/0.png", b""), ("test/b/0.png", b"")],
     "every class of tar:x must have a test image, class 'a' has none"),
    ([("train/a/0.png", b""), ("train/b/0.png", b""), ("more/b/0.png", b"")],
     "where the name of a shard or a folder says 'train', all must say train, test or val, got 'more/b/0.png' of '{}'"),
    ([("pets/0.png", b""), ("pets/a/0.png", b""), ("pets/b/0.png", b"")],
     "image 'pets/0.png' of '{}' must have its class beside it, in a .cls or as 'label' in a .json, or lie in a folder of its "
     "class"),
    ([("train/bus/0.png", b""), ("train/car/0.png", b""), ("bus/day/0.png", b"")],
     "where the name of a shard or a folder says 'train', all must say train, test or val, got 'bus/day/0.png' of '{}'"),
    ([("a/0.png", b""), ("b/0.png", b""), ("heldout/a/1.png", b""), ("heldout/b/1.png", b"")],
     "'{}' must hold folders of classes, or of parts called 'train', 'test' or 'val', got 'heldout' with folders called like the "
     "classes 'a', 'b'"),
    ([("a/train/cat/0.png", b""), ("a/train/dog/0.png", b""), ("b/test/cat/0.png", b"")],
     "'{}' must hold folders of classes, or of parts called 'train', 'test' or 'val', got 'a/train', 'b/test'"),
])
def test_refusals(tmp_path: Path, members: list[tuple[str, bytes]], message: str) -> None:
    file = write_tar(tmp_path / "x.tar", members)
    with pytest.raises(UserError) as caught:
        open_tar(str(file))
    assert str(caught.value) == message.replace("{}", str(file))


def test_json_that_is_nested_too_deeply(tmp_path: Path) -> None:
    file = write_tar(tmp_path / "x.tar", [("0.png", b""), ("0.json", b"[" * 100_000)])
    with pytest.raises(UserError) as caught:
        open_tar(str(file))
    told = f"member '0.json' of {str(file)!r} must hold the class of an image as text, or JSON ("  # the rest is Python's own
    assert str(caught.value).startswith(told) and "\n" not in str(caught.value)


def test_what_is_no_whole_tar(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "whole.tar", samples([0, 1, 0, 1])).read_bytes()
    broken: Mapping[str, bytes] = {
        "empty": b"", "text": b"no tar" * 1000, "gzip": b"\x1f\x8b" + bytes(1000), "within a header": whole[:1100],
        "within an image": whole[:520], "between two": whole[:1024], "damaged": whole[:1024] + b"x" * 512 + whole[1536:],
        "size": whole[:124] + b"77777777777 " + whole[136:],
    }
    for name, content in broken.items():
        file = tmp_path / "x.tar"
        file.write_bytes(content)
        with pytest.raises(UserError) as caught:
            open_tar(str(file))
        assert str(caught.value).startswith(f"{str(file)!r} must be a whole, uncompressed tar: "), name
        assert "\n" not in str(caught.value), name
    with pytest.raises(UserError, match=r"^member 'a/0.png' of '.*' must be a file of its own, got a link or a file with holes$"):
        open_tar(str(links(tmp_path / "links.tar")))


def test_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_tar(tmp_path / "a-0.tar", samples([0, 1]))
    (tmp_path / "empty").mkdir()
    for typed, lacking in (("none.tar", f"{str(tmp_path / 'none.tar')!r}"), ("*.zip", f"{str(tmp_path / '*.zip')!r}"),
                           ("a-{0..1}.tar", f"{str(tmp_path / 'a-1.tar')!r}"), ("empty", "*.tar there")):
        with pytest.raises(UserError) as caught:
            open_tar(typed)
        assert str(caught.value) == f"tar: must be followed by the path of tar files, got {typed!r}: no {lacking}"
    (tmp_path / "folder.tar").mkdir()
    with pytest.raises(UserError, match="^tar: must be followed by a path, got nothing$"):
        open_tar("")
