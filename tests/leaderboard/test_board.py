from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.errors import UserError
from ltbench.leaderboard.board import find_boards, read_board
from ltbench.planning.request import How, Request, Terms, What
from ltbench.terms.shots import Splits

TEXT = """
title = "Digits"
tolerance = 1

[[matrix]]
datasets = ["digits-lt"]
methods = ["ce", "ldam+drw"]
seeds = [0, 1]
protocol = "quick"
"""


def board(folder: Path, text: str = TEXT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "board.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_board_says_what_is_run(tmp_path: Path) -> None:
    found = read_board(board(tmp_path / "digits"))
    assert (found.name, found.title, found.tolerance) == ("digits", "Digits", 1.0)
    assert found.requests == (Request(What(("ce", "ldam+drw"), ("digits-lt",), seeds=(0, 1), split_seeds=(0,)), Terms("quick"),
                                      How(out=tmp_path / "digits" / "results")),)
    assert found.results == tmp_path / "digits" / "results"


def test_a_matrix_may_stand_on_the_terms_of_a_paper(tmp_path: Path) -> None:
    text = TEXT.replace('protocol = "quick"', 'track = "paper"\npaper = "lncm"\nprecision = "bf16"')
    (request,) = read_board(board(tmp_path, text)).requests
    assert request.terms == Terms(None, "paper", "lncm", precision="bf16")


def test_a_matrix_may_start_from_weights(tmp_path: Path) -> None:
    text = TEXT.replace('protocol = "quick"', 'protocol = "tuned"\ninit = "timm"\ntune = "norm"')
    (request,) = read_board(board(tmp_path, text)).requests
    assert request.terms == Terms("tuned", init="timm", tune="norm")


def test_a_matrix_may_part_its_classes_elsewhere(tmp_path: Path) -> None:
    (request,) = read_board(board(tmp_path, f"{TEXT}splits = [50, 10]")).requests
    assert request.terms == Terms("quick", splits=Splits(50, 10))
    with pytest.raises(UserError, match="splits must be two whole numbers"):
        read_board(board(tmp_path, f"{TEXT}splits = [10, 50]"))
    with pytest.raises(UserError, match="splits of matrix 1 of .* must be a list, got '50,10'"):
        read_board(board(tmp_path, f'{TEXT}splits = "50,10"'))


def test_boards_come_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        board(tmp_path / name)
    (tmp_path / "no-board").mkdir()
    assert [found.name for found in find_boards(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(("before", "after", "said"), [
    ('title = "Digits"', "", r"'.*board.toml' must hold 'title'"),
    ("tolerance = 1", "tolerance = true", "tolerance of .* must be a number, got True"),
    ("tolerance = 1", "tolerance = 0", "tolerance of .* must be > 0, got 0"),
    ("tolerance = 1", "tolerance = nan", "tolerance of .* must be .*, got nan"),
    ("[[matrix]]", "[other]", "unknown key 'other' in '.*board.toml'; Known: title, "),
    ('methods = ["ce", "ldam+drw"]', "methods = []", "methods of matrix 1 of .* must be a list that is not empty, got \\[\\]"),
    ("seeds = [0, 1]", 'seeds = ["0"]', r"seeds\[0\] of matrix 1 of .* must be a whole number"),
    ("tolerance = 1", 'tolerance = 1\nout = "x"', "out of '.*' must be left out: a board's records are in its folder 'results'"),
    ('protocol = "quick"', "protocol = 3", "protocol of matrix 1 of .* must be a text, got 3"),
    ('protocol = "quick"', "init = 3", "init of matrix 1 of .* must be a text, got 3"),
    ('protocol = "quick"', 'tune = "last"', "--tune needs --init"),
    ('protocol = "quick"', "paper = 3", "paper of matrix 1 of .* must be a text, got 3"),
    ('protocol = "quick"', 'paper = "lncm"', "--paper needs --track paper"),
    ('protocol = "quick"', "epoch = 3", "unknown key 'epoch' in matrix 1 of '.*'; did you mean 'epochs'?"),
    ("title", "= title", "cannot be read"),
])
def test_mistakes_are_named(tmp_path: Path, before: str, after: str, said: str) -> None:
    assert before in TEXT
    with pytest.raises(UserError, match=said) as caught:
        read_board(board(tmp_path, TEXT.replace(before, after)))
    assert "\n" not in str(caught.value)


def test_no_board(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"board must be a folder with board.toml, got '.*nowhere': No such file"):
        read_board(tmp_path / "nowhere")
    with pytest.raises(UserError, match="matrix of .* must be a list that is not empty"):
        read_board(board(tmp_path, 'title = "x"\ntolerance = 1.0\nmatrix = []'))
