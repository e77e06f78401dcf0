"""Whatever a list of images holds, it is read whole or refused in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ltbench.data.lists import read_list
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
