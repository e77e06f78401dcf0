"""The map of the house and the walk through it, at the beginning of CONTRIBUTING.md."""

from __future__ import annotations

import re

from tests.support.blocks import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
HOUSE, WALK = (TEXT.split(heading)[1].split("\n## ")[0] for heading in ("## The house\n", "## One walk"))


def test_the_map_has_every_room_once() -> None:
    floors = [re.findall(r"`(\w+)`", line.split("|")[2]) for line in HOUSE.splitlines() if re.match(r"\| \d+ \|", line)]
    named = [room for floor in floors for room in floor]
    there = {path.name.removesuffix(".py") for path in (ROOT / "ltbench").iterdir()
             if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert len(named) == len(set(named))
    assert set(named) == there - {"__init__"}


def test_every_file_of_the_walk_is_there() -> None:
    files = re.findall(r"`(\w+/[\w/]+\.py)`", WALK)
    assert len(files) >= 15
    assert [file for file in files if not (ROOT / "ltbench" / file).is_file()] == []
