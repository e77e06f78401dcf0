"""The boards of this repository: sound records of clean commits, and generated files that follow from them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from ltbench.leaderboard.board import Board, find_boards
from ltbench.leaderboard.given import read_given
from ltbench.leaderboard.publish import differing, generate
from ltbench.registry.discovery import load_registry
from ltbench.results import records
from ltbench.results.class_names import names_of_record

ROOT = Path(__file__).resolve().parents[2] / "leaderboards"
BOARDS = find_boards(ROOT)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_board_follows_from_its_records(board: Board) -> None:
    """On a difference: `ltbench leaderboard`."""
    registry = load_registry()
    named = partial(names_of_record, registry=registry)
    assert differing(board.folder, generate(board, read_given(ROOT), registry.remarks, named)) == []


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_boards_records_are_complete(board: Board) -> None:
    if not board.results.is_dir():  # nothing has run yet
        return
    stored, problems = records.read_directory(board.results)
    assert problems == []
    for item in stored:
        assert item.record.status == "completed", item.path
        assert item.record.predictions is not None, item.path
        assert item.record.task.dataset in {name.partition("@")[0] for one in board.requests for name in one.what.datasets}


def test_every_family_of_data_has_a_board() -> None:
    assert {board.name for board in BOARDS} == {"cifar10-lt", "cifar100-lt", "cifar100-lt-pretrained", "clothing", "digits-lt",
                                                "imagenet-lt", "inat18", "places-lt"}
