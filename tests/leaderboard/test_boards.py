"""The boards of this repository: sound records of clean commits, and generated files that follow from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.leaderboard.board import Board, find_boards
from ltbench.leaderboard.publish import differing, generate
from ltbench.leaderboard.reported import read_reported
from ltbench.registry.discovery import load_registry
from ltbench.results import records

ROOT = Path(__file__).resolve().parents[2] / "leaderboards"
BOARDS = find_boards(ROOT)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_board_follows_from_its_records(board: Board) -> None:
    """On a difference: `ltbench leaderboard`."""
    assert differing(board, generate(board, read_reported(ROOT / "reported.csv"), load_registry().remarks)) == []


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_boards_records_are_complete(board: Board) -> None:
    stored, problems = records.read_directory(board.results)
    assert problems == []
    for item in stored:
        assert item.record.status == "completed", item.path
        assert item.record.predictions is not None, item.path
        assert item.record.task.dataset == board.name


def test_there_are_boards() -> None:
    assert BOARDS
