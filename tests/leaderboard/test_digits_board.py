"""The small board, made again from nothing: what is published is what a fresh run gives."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.leaderboard.board import read_board
from ltbench.leaderboard.collect import collect
from ltbench.planning.expression import parse
from ltbench.registry.discovery import load_registry
from ltbench.results import records

BOARD = Path(__file__).resolve().parents[2] / "leaderboards" / "digits-lt"
TOLERANCE = 3.0  # points of a row's mean, as the board's README says


def means(folder: Path) -> dict[str, float]:
    stored, problems = records.read_directory(folder)
    (table,), contradictions = collect(stored)
    assert problems == [] and contradictions == []
    return {row.method: row.figure("accuracy.all").mean or 0.0 for row in table.rows}


def test_the_page_says_which_methods_have_no_row() -> None:
    asked = {node.name for request in read_board(BOARD).requests for text in request.what.methods for stage in parse(text)
             for node in stage}
    left_out = set(load_registry().methods) - asked
    page = (BOARD / "README.md").read_text(encoding="utf-8")
    said = re.search(r"Every built-in method but (\w+) has a row: (.*?)\.", page, re.S)
    assert said is not None
    assert set(re.findall(r"`(\w+)`", said[2])) == left_out and said[1] == {6: "six"}[len(left_out)]


@pytest.mark.slow
def test_the_board_can_be_made_again(tmp_path: Path) -> None:
    shutil.copy(BOARD / "board.toml", tmp_path)
    assert main(["run", "--cpu", "--board", str(tmp_path), "--keep", "nothing", "--cache", str(tmp_path / "cache")]) == 0
    made, published = means(tmp_path / "results"), means(BOARD / "results")
    assert made.keys() == published.keys()
    far = {method: (made[method], mean) for method, mean in published.items() if abs(made[method] - mean) > TOLERANCE}
    assert far == {}
