from __future__ import annotations

from pathlib import Path

from ltbench.running.description import without_paths


def test_a_reason_names_no_folder_of_the_machine() -> None:
    folders = [Path("/somewhere/my pets"), Path("/data/caf\udce9, mine")]
    for text, expected in (
        ("image '/somewhere/my pets/a/1.png' is not there", "image 'a/1.png' is not there"),
        (f"image {'/data/caf' + chr(0xdce9) + ', mine/b/2.png'!r} is not there", "image 'b/2.png' is not there"),
        ("image '/elsewhere/x/3.png' is not there", "image '3.png' is not there"),
        ("a ratio of 1/2 stays", "a ratio of 1/2 stays"),
    ):
        assert without_paths(text, folders) == expected
