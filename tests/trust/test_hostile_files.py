"""Files that mean harm, made from a real record: each is refused in one line, none crashes, none changes a file."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltbench.cli.main import main
from tests.support.real_records import Copy, Damage, Refuse


def _text(change: Callable[[str], str]) -> Damage:
    return lambda copy: copy.json.write_text(change(copy.json.read_text()))


def _field(**changes: Any) -> Damage:
    return lambda copy: copy.change(**changes)


def _deep(copy: Copy) -> None:
    copy.change(environment={"x": "HERE"})
    copy.json.write_text(copy.json.read_text().replace('"HERE"', "[" * 900 + "]" * 900))


def _sparse(copy: Copy) -> None:
    with copy.json.open("r+b") as file:
        file.truncate(65 * 2**20)


def _rename_method(copy: Copy, name: str) -> None:
    """As a careful forger would: the same name everywhere."""
    text = copy.json.read_text().replace('"crt"', json.dumps(name))
    copy.json.write_text(text.replace('"ldam/crt"', json.dumps(f"ldam/{name}")))


JSON: dict[str, tuple[Damage, str]] = {
    "truncated": (_text(lambda text: text[:-200]), "cannot be read"),
    "empty": (_text(lambda text: ""), "cannot be read"),
    "second metrics": (_text(lambda text: text.replace("{", '{"metrics": null,', 1)), "field 'metrics' must stand once"),
    "not a number": (_text(lambda text: text.replace('"schema": 1', '"schema": 1, "x": NaN')), "must be finite, got NaN"),
    "infinity": (_text(lambda text: text.replace('"schema": 1', '"schema": 1, "x": -Infinity')), "must be finite, got -Infinity"),
    "overflow": (_text(lambda text: text.replace('"schema": 1', '"schema": 1, "x": 1e999')), "must be finite, got 1e999"),
    "huge integer": (_text(lambda text: text.replace('"seed": 0', '"seed": ' + "9" * 400)), "every integer must be below 2^63"),
    "endless integer": (_text(lambda text: text.replace('"seed": 0', '"seed": ' + "9" * 90_000)), "every integer must be below"),
    "deep nesting": (_deep, "nested at most 32 deep"),
    "deeper nesting": (_text(lambda text: "[" * 100_000), "cannot be read"),
    "invalid utf-8": (lambda copy: copy.json.write_bytes(b'{"schema": 1, "expression": "\xff\xfe"}'), "cannot be read"),
    "lone surrogate": (_text(lambda text: text.replace('"ldam/crt"', r'"ld\ud800m/crt"')), "surrogates not allowed"),
    "endless text": (_field(expression="a" * 2_000_000), "every text must be at most"),
    "endless expression": (_field(expression="a" * 9_000, stages__0__expression="a" * 9_000),
                           "stages[0].expression: must be at most"),
    "too large": (_sparse, "must be at most 67108864 bytes"),
    "list": (lambda copy: copy.save([copy.record()]), "must be an object"),
    "no marks of a record": (lambda copy: copy.save({"hello": 1}), "schema is missing"),
    "newer schema": (_field(schema=2), "schema must be 1, got 2; a newer ltbench wrote it"),
    "schema of another type": (_field(schema="1"), "schema must be 1, got '1'"),
    "escape in the expression": (_field(expression="ldam/crt\x1b[2J"), "expression: must be printable"),
    "escape in a name": (_field(environment={"\x1b]0;x\x07": 1}), "environment: every name must be printable"),
    "line break in the dataset": (_field(task__dataset="digits-lt\nx: all is well"), "task.dataset: must be printable"),
    "script": (lambda copy: _rename_method(copy, "<script>alert(1)</script>"), "methods[0].name: must be a method's name"),
    "markdown": (lambda copy: _rename_method(copy, "[x](javascript:1)"), "stages[1].methods[0].name: must be a method's name"),
    "latex": (lambda copy: _rename_method(copy, r"\input{/etc/passwd}"), "stages[1].methods[0].name: must be a method's name"),
    "absolute path": (_field(predictions__file="/etc/passwd.npz"), "predictions.file must be the name of an .npz file next to"),
    "parent path": (_field(predictions__file="../other.npz"), "predictions.file must be the name of an .npz file next to"),
    "windows path": (_field(predictions__file="C:\\x.npz"), "predictions.file must be the name of an .npz file next to"),
    "NUL in a file name": (_field(predictions__file="a\0.npz"), "predictions.file must be the name of an .npz file next to"),
    "path of tensors": (_field(geometry__file="../x.safetensors"), "geometry.file must be the name of an .safetensors file"),
}


@pytest.mark.parametrize(("damage", "words"), JSON.values(), ids=JSON.keys())
def test_hostile_json_is_refused(copy: Copy, refuse: Refuse, damage: Damage, words: str) -> None:
    damage(copy)
    lines = refuse()
    assert lines[0].startswith(f"{copy.json}: ")
    assert any(words in line for line in lines), lines


def _archive(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def _members(copy: Copy, **changes: Any) -> list[tuple[str, bytes]]:
    with np.load(copy.npz) as archive:
        arrays = {name: archive[name] for name in archive.files} | changes
    found = []
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=True)
        found.append((f"{name}.npy", buffer.getvalue()))
    return found


def _bomb(copy: Copy) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _members(copy):
            with archive.open(name, "w") as member:
                for block in [content] + [bytes(2**20)] * (257 if name == "ids.npy" else 0):
                    member.write(block)
    return buffer.getvalue()


def _nested_header(copy: Copy) -> bytes:
    header = b"(" * 9_000 + b"\n"
    return _archive(*_members(copy)[1:], ("ids.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header))


NPZ: dict[str, tuple[Callable[[Copy], bytes], str]] = {
    "truncated": (lambda copy: copy.npz.read_bytes()[:-100], "File is not a zip file"),
    "no archive": (lambda copy: b"hello", "File is not a zip file"),
    "pickled objects": (lambda copy: _archive(*_members(copy, ids=np.array([print, None], dtype=object))), "allow_pickle"),
    "extra member": (lambda copy: _archive(*_members(copy, more=np.arange(3))), "it must hold ids, labels"),
    "member of another name": (lambda copy: _archive(*_members(copy)[1:], ("../ids.npy", b"")), "it must hold ids, labels"),
    "member twice": (lambda copy: _archive(*_members(copy), _members(copy)[0]), "it must hold ids, labels"),
    "other types": (lambda copy: _archive(*_members(copy, labels=np.zeros(100, dtype=np.float64))), "labels must be int64"),
    "other lengths": (lambda copy: _archive(*_members(copy, argmax=np.zeros(7, dtype=int))), "argmax must be int64 of shape"),
    "bomb": (_bomb, "must unpack to at most"),
    "unlimited compression": (lambda copy: _archive(*_members(copy), compression=zipfile.ZIP_BZIP2), "packed as numpy packs"),
    "nested header": (_nested_header, "cannot be read"),
    "not a number": (lambda copy: _archive(*_members(copy, log_prob=np.full(100, np.nan, dtype="<f4"))), "log_prob must be a"),
    "an image twice": (lambda copy: _archive(*_members(copy, ids=np.zeros(100, dtype=int))), "an image twice or out of order"),
    "negative class": (lambda copy: _archive(*_members(copy, argmax=np.full(100, -1))), "argmax must be >= 0"),
    "no such class": (lambda copy: _archive(*_members(copy, argmax=np.full(100, 10))), "argmax must be below 10"),
}


@pytest.mark.parametrize(("damage", "words"), NPZ.values(), ids=NPZ.keys())
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_predictions_are_refused(copy: Copy, refuse: Refuse, damage: Callable[[Copy], bytes],
                                         words: str) -> None:
    copy.npz.write_bytes(damage(copy))
    (line,) = refuse()
    assert line.startswith(f"{copy.json}: predictions: ") and words in line


def _link_out(path: Path) -> None:
    target = path.parent.parent / path.name
    path.rename(target)
    path.symlink_to(target)


def _replace_by(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


FILES: dict[str, tuple[Damage, str]] = {
    "record is a link": (lambda copy: _link_out(copy.json), "must be a file of its own, not a link"),
    "predictions are a link": (lambda copy: _link_out(copy.npz), "must be a file of its own, not a link"),
    "link to itself": (lambda copy: _replace_by(copy.json, lambda path: path.symlink_to(path)), "not a link"),
    "folder as a record": (lambda copy: _replace_by(copy.json, Path.mkdir), "must be a file, not a folder"),
    "folder as predictions": (lambda copy: _replace_by(copy.npz, Path.mkdir), "must be a file, not a folder"),
    "pipe as a record": (lambda copy: _replace_by(copy.json, os.mkfifo), "must be a regular file"),
    "pipe as predictions": (lambda copy: _replace_by(copy.npz, os.mkfifo), "must be a regular file"),
    "no predictions": (lambda copy: copy.npz.unlink(), "No such file"),
    "other tensors": (lambda copy: next(copy.folder.glob("*.safetensors")).write_bytes(b"x"), "geometry.sha256: does not"),
}


@pytest.mark.parametrize(("damage", "words"), FILES.values(), ids=FILES.keys())
def test_what_is_no_plain_file_is_refused(copy: Copy, refuse: Refuse, damage: Damage,
                                          words: str) -> None:
    damage(copy)
    assert any(words in line for line in refuse())


def test_what_may_not_be_read_is_refused(copy: Copy, refuse: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def deny(path: Path, *arguments: Any, **options: Any) -> Any:  # root may read everything
        if path == copy.json:
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", deny)
    monkeypatch.setattr("tests.support.real_records.fingerprint", lambda folder: "")
    assert refuse() == [f"{copy.json}: cannot be read: Permission denied"]


def test_endless_folders_are_refused(copy: Copy, refuse: Refuse) -> None:
    deep = copy.folder.joinpath(*["d"] * 40)
    for folder in reversed([deep, *deep.parents]):
        folder.mkdir(exist_ok=True)
    (line,) = refuse()
    assert line.endswith("/d: folders must be nested at most 32 deep")


def test_endless_folders_are_one_line_for_tables(copy: Copy, monkeypatch: pytest.MonkeyPatch,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    def search(*_: object) -> None:
        raise RecursionError  # as pathlib does before Python 3.13

    monkeypatch.setattr(Path, "rglob", search)
    assert main(["leaderboard", str(copy.folder)]) == 2
    assert "folders must be nested less deep" in capsys.readouterr().err


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("ending", [".npz", ".geometry.safetensors"])
def test_links_beside_a_record_that_is_named(copy: Copy, capsys: pytest.CaptureFixture[str], ending: str, loop: bool) -> None:
    """Without its folder, nobody has looked at the files beside it before they are read."""
    file = copy.json.with_suffix(ending)
    _replace_by(file, lambda path: path.symlink_to(path)) if loop else _link_out(file)
    code = main(["check", str(copy.json)])
    told = capsys.readouterr().out
    if loop and ending != ".npz":
        assert code == 0 and "warning: geometry: " in told and "is not there" in told
    else:
        assert code == 1 and any(words in told for words in ("next to the record", "Too many levels of symbolic links"))


def test_a_link_to_itself_is_one_line_for_tables(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    _replace_by(copy.json, lambda path: path.symlink_to(path))
    assert main(["leaderboard", str(copy.folder)]) == 2
    assert "Too many levels of symbolic links" in capsys.readouterr().err


def test_links_that_lead_out_are_not_read_by_tables_either(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    _link_out(copy.json)
    main(["leaderboard", str(copy.folder)])
    assert "must not be a link that leads out of" in capsys.readouterr().err
