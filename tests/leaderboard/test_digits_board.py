"""The small board, made again from nothing: what is published is what a fresh run gives."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.leaderboard.board import read_board
from ltbench.leaderboard.collect import collect
from ltbench.planning.expression import parse
from ltbench.registry.discovery import load_registry
from ltbench.results import records
from ltbench.results.interval import Estimate

BOARD = Path(__file__).resolve().parents[2] / "leaderboards" / "digits-lt"
TOLERANCE = 3.0  # points of a row's mean, as the board's README says
WIDER = {"paco"}  # rows that came out farther off on another processor, where they stayed within their interval


def rows(folder: Path) -> dict[str, Estimate]:
    stored, problems = records.read_directory(folder)
    (table,), contradictions = collect(stored)
    assert problems == [] and contradictions == []
    return {row.method: row.figure("accuracy.all") for row in table.rows}


def test_the_page_says_which_methods_have_no_row() -> None:
    asked = {node.name for request in read_board(BOARD).requests for text in request.what.methods for stage in parse(text)
             for node in stage}
    left_out = set(load_registry().methods) - asked
    page = (BOARD / "README.md").read_text(encoding="utf-8")
    said = re.search(r"Every built-in method but (\w+) has a row: (.*?)\.", page, re.S)
    assert said is not None
    assert set(re.findall(r"`(\w+)`", said[2])) == left_out and said[1] == {6: "six"}[len(left_out)]


@pytest.mark.slow
@pytest.mark.parametrize("third", [0, 1, 2])
def test_the_board_can_be_made_again(third: int, tmp_path: Path) -> None:
    """A third of its rows at a time, so that the processes of a suite share them."""
    text = (BOARD / "board.toml").read_text(encoding="utf-8")
    (matrix,) = tomllib.loads(text)["matrix"]
    methods = matrix["methods"]
    some = methods[third * len(methods) // 3:(third + 1) * len(methods) // 3]
    (tmp_path / "board.toml").write_text(text.replace(text[text.index("methods = ["):], f"methods = {json.dumps(some)}\n"))
    assert main(["run", "--cpu", "--board", str(tmp_path), "--keep", "nothing", "--cache", str(tmp_path / "cache")]) == 0
    made, published = rows(tmp_path / "results"), rows(BOARD / "results")
    assert len(made) == len(some)
    allowed = {method: (published[method].half_width or 0.0) if method in WIDER else TOLERANCE for method in made}
    far = {method: (row.mean, published[method].mean) for method, row in made.items()
           if abs((row.mean or 0.0) - (published[method].mean or 0.0)) > allowed[method]}
    assert far == {}
