"""Whatever a list, a table or a tar of images holds, it is read whole or refused in one line."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ltbench.data.lists import read_list
from ltbench.data.own import OwnImages
from ltbench.data.own_tables import open_csv
from ltbench.data.own_tars import open_tar
from tests.support.properties import ATOMS, TEXTS, amounts, answered, holds

CLASSES = 3
PART = st.text("abzé01._-", min_size=1, max_size=6).filter(lambda part: set(part) != {"."})
NAMES = st.lists(PART, min_size=1, max_size=3).map("/".join)
FIELDS = st.sampled_from(["id", "image_id", "category_id", "file_name"])


@amounts(60)
def test_what_is_written_is_read(examples: int | None, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"

    def check(rows: dict[str, int], ending: str, space: str) -> None:
        file.write_bytes("".join(f"{name}.jpg{space}{label}{ending}" for name, label in rows.items()).encode())
        paths, labels = read_list(file, CLASSES)
        assert [os.path.relpath(path, tmp_path) for path in paths] == [os.path.normpath(f"{name}.jpg") for name in rows]
        assert labels.tolist() == list(rows.values())

    holds(examples, check, rows=st.dictionaries(NAMES, st.integers(0, CLASSES - 1), min_size=1, max_size=5),
          ending=st.sampled_from(["\n", "\r\n", " \n", "\n\n"]), space=st.sampled_from([" ", "\t", "  "]))


@amounts(60)
def test_any_list_is_read_or_refused(examples: int | None, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    words = st.sampled_from([b"a.jpg", b"b c.png", b" ", b"\t", b"0", b"2", b"3", b"-1", b",", b'"', b"\\", b"\n", b"\r\n",
                             b"\x00", b"\xef\xbb\xbf", b"\xe9", b"\x0b", b"path,label\n", b"../x.jpg", b"/x.jpg"])

    def check(content: bytes) -> None:
        file.write_bytes(content)
        found = answered(lambda: read_list(file, CLASSES))
        if found is not None:
            paths, labels = found
            assert len(paths) == len(labels) > 0 and all(0 <= label < CLASSES for label in labels.tolist())

    holds(examples, check, content=st.binary(max_size=30) | st.lists(words, max_size=12).map(b"".join))


@amounts(60)
def test_any_json_is_read_or_refused(examples: int | None, tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    entries = st.lists(st.dictionaries(FIELDS, st.integers(-1, 3) | ATOMS, max_size=4) | ATOMS, max_size=3)

    def check(held: Any) -> None:
        file.write_text(json.dumps(held))
        answered(lambda: read_list(file, CLASSES))

    holds(examples, check, held=st.fixed_dictionaries({"images": entries, "annotations": entries}) | TEXTS
          | st.dictionaries(st.sampled_from(["images", "annotations"]), entries | ATOMS))


class Seen:
    """Count the sets that could be opened, whose labels must be in range and whose images are no more than were written."""

    def __init__(self) -> None:
        self.sets = 0

    def __call__(self, opened: OwnImages | None, most: int) -> None:
        if opened is not None:
            parts = opened.load(None)
            labels = [part.labels for part in (parts.train, parts.test, parts.val) if part is not None]
            assert all(0 <= label < opened.num_classes for part in labels for label in part.tolist())
            assert 0 < sum(map(len, labels)) <= most
            self.sets += 1


@amounts(60)
def test_any_table_is_read_or_refused(examples: int | None, tmp_path: Path) -> None:
    file, seen = tmp_path / "pets.csv", Seen()
    names = [f"{number}.jpg" for number in range(6)]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    rows = st.tuples(st.sampled_from(names), st.sampled_from(["cat", "dog"]), st.sampled_from(["train", "test"])).map(",".join)
    odd = st.sampled_from(["0.jpg,cat,val", "0.jpg,,train", "none.jpg,dog,test", "1.jpg,0,train", '"2.jpg",cat,test', "",
                           "\ufeff", '"', "3.jpg;dog;train", "4.jpg,cat", "\x00", "path,label,split", "é.jpg,cat,train"])

    def check(header: str, lines: list[str], more: list[str], ending: str) -> None:
        file.write_text(ending.join([header, *lines, *more]), encoding="utf-8", newline="")
        seen(answered(lambda: open_csv(str(file))), len(lines) + len(more))

    headers = st.sampled_from(["path,label,split", "FILE,class,subset", "path,label,label", "label,file,split"])
    holds(examples, check, header=headers, lines=st.lists(rows, max_size=6, unique_by=lambda row: row[0]),
          more=st.lists(odd, max_size=2), ending=st.sampled_from(["\n", "\r\n", "\n\n"]))
    assert seen.sets


@amounts(40)
def test_any_tar_is_read_or_refused(examples: int | None, tmp_path: Path) -> None:
    file, seen = tmp_path / "pets.tar", Seen()
    folders = st.sampled_from(["cat", "dog", "train/cat", "train/dog", "test/cat", "test/dog", "./cat", "pets/cat/day", ".", "..",
                               "", "a b", "._x", "é", "cat\n"])
    classes = st.sets(st.sampled_from("12345"), max_size=4)
    odd = st.tuples(folders, st.sampled_from(["6", "7", "._8", ""]),
                    st.sampled_from([".png", ".JPEG", ".cls", ".json", ".mask.png", ""]),
                    st.sampled_from([b"", b"0", b"1", b"-1", b"cat", b"{}", b'{"label": 1}', b"\xff"]))

    def check(above: str, cats: set[str], dogs: set[str], more: list[tuple[str, str, str, bytes]]) -> None:
        entries = [(above + folder, name, ".png", name.encode())
                   for folder, names in (("cat", cats), ("dog", dogs)) for name in names]
        with tarfile.open(file, "w") as archive:
            for folder, name, suffix, content in entries + more:
                member = tarfile.TarInfo(f"{folder}/{name}{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        seen(answered(lambda: open_tar(str(file))), len(entries) + len(more))

    holds(examples, check, above=st.sampled_from(["", "./", "pets/", "pets/train/"]), cats=classes, dogs=classes,
          more=st.lists(odd, max_size=2))
    assert seen.sets
