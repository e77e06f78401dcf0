from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ltbench.errors import UserError
from ltbench.leaderboard.board import read_board
from ltbench.leaderboard.diff import changes, read_base, to_markdown
from ltbench.leaderboard.publish import generate
from tests.leaderboard.test_board import board as write_board
from tests.leaderboard.test_publish import add


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    folder = write_board(tmp_path / "digits")
    for name in ("ce", "la|x"):
        for seed in range(2):
            add(folder, f"{name[:2]}{seed}", task__seed=seed, expression=name)
    return dict(json.loads(generate(read_board(folder))["board.json"]))


def test_rows_come_go_and_change(content: dict[str, Any]) -> None:
    assert changes(content, content) == []
    after = copy.deepcopy(content)
    first, second = after["tables"][0]["rows"]
    first["metrics"]["accuracy.all"]["mean"] = 60.0
    del after["tables"][0]["rows"][1]
    found = changes(content, after)
    assert [(one.method, one.kind) for one in found] == [("ce", "changed"), ("la|x", "removed")]
    assert found[0].before is not None and found[0].after is not None
    assert (found[0].before.mean, found[0].after.mean, found[0].after.runs) == (50.0, 60.0, 2)
    assert [(one.method, one.kind) for one in changes(after, content)] == [("ce", "changed"), ("la|x", "new")]
    assert second["method"] == "la|x"


def test_time_is_no_change(content: dict[str, Any]) -> None:
    after = copy.deepcopy(content)
    after["tables"][0]["rows"][0]["seconds"]["mean"] = 1e6
    assert changes(content, after) == []


def test_the_table_is_escaped(content: dict[str, Any]) -> None:
    text = to_markdown("digits", changes({"tables": []}, content))
    assert text.startswith("**digits**: 2 rows\n\n| method ") and "la\\|x" in text and " 50.0 |" in text
    assert to_markdown("digits", []) == "**digits**: no row changes.\n"


def test_a_base_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "board.json"
    assert read_base(file) == {"tables": []}
    for text in ("{", "[]", '{"tables": [{"rows": [{}]}]}', '{"tables": 3}', "[" * 100_000):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match="must be a board.json of ltbench"):
            read_base(file)
    with pytest.raises(UserError, match="cannot be read"):
        read_base(tmp_path)
