"""The boards of this repository: sound records, figures that follow from predictions, tables that follow from records."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltbench import records
from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.tables import render

ROOT = Path(__file__).parents[2] / "leaderboards"
BOARDS = sorted(path for path in ROOT.iterdir() if (path / "results").is_dir())


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.name)
def test_a_board_follows_from_its_records(board: Path) -> None:
    stored, problems = records.read_directory(board / "results")
    assert problems == []
    for item in stored:
        assert item.record["status"] == "completed", item.path
        assert item.record["core"]["dirty"] is False, f"{item.path} is not of a clean commit"
        assert item.record["task"]["dataset"] == board.name
        predictions = records.load_predictions(item.path, item.record)
        assert predictions is not None
        assert records.verify(item.record, predictions) == []
    tables, contradictions = collect(stored)
    assert contradictions == []
    text = (board / "README.md").read_text(encoding="utf-8")
    _, _, rest = text.partition("<!-- board -->\n")
    shown, end, _ = rest.partition("<!-- /board -->")
    assert end, "the README must hold the tables between its two markers"
    # On a difference: `ltbench leaderboard leaderboards/NAME/results`, and its output between the markers.
    assert shown.strip() == render(tables, "md").strip()


def test_there_are_boards() -> None:
    assert BOARDS
