from __future__ import annotations

import os
from pathlib import Path

import pytest

from ltbench.data.walking import ignored, images_below


@pytest.mark.parametrize(("name", "expected"), [(".a.jpg", True), ("._1.jpg", True), (".", True), ("@eaDir", True),
                                                ("#recycle", True), ("recycle", False),
                                                ("a.jpg", False), ("a@eaDir", False), ("@eadir", False), ("eaDir", False)])
def test_what_is_ignored(name: str, expected: bool) -> None:
    assert ignored(name) == ignored(os.fsencode(name)) == expected


def test_thumbnails_of_a_synology_are_no_images(tmp_path: Path) -> None:
    for name in ("1.jpg", "inner/2.jpg", "@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "inner/@eaDir/2.jpg", ".hidden/3.jpg", ".4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert images_below(os.fsencode(tmp_path)) == [b"1.jpg", b"inner/2.jpg"]
