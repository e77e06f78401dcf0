"""The small board, made again from nothing: what is published is what a fresh run gives."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.leaderboard.collect import collect
from ltbench.results import records

BOARD = Path(__file__).resolve().parents[2] / "leaderboards" / "digits-lt"
TOLERANCE = 3.0  # points of a row's mean, as the board's README says


def means(folder: Path) -> dict[str, float]:
    stored, problems = records.read_directory(folder)
    (table,), contradictions = collect(stored)
    assert problems == [] and contradictions == []
    return {row.method: row.figure("accuracy.all").mean or 0.0 for row in table.rows}


@pytest.mark.slow
def test_the_board_can_be_made_again(tmp_path: Path) -> None:
    shutil.copy(BOARD / "board.toml", tmp_path)
    assert main(["run", "--cpu", "--board", str(tmp_path), "--keep", "nothing", "--cache", str(tmp_path / "cache")]) == 0
    made, published = means(tmp_path / "results"), means(BOARD / "results")
    assert made.keys() == published.keys()
    far = {method: (made[method], mean) for method, mean in published.items() if abs(made[method] - mean) > TOLERANCE}
    assert far == {}
