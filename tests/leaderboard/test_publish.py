from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ltbench.errors import UserError
from ltbench.leaderboard.board import Board, read_board
from ltbench.leaderboard.given import Given
from ltbench.leaderboard.publish import differing, generate, write
from ltbench.leaderboard.reported import Printed, PrintedRow
from ltbench.results.predictions import Predictions
from tests.leaderboard.test_asked import RUN
from tests.leaderboard.test_board import board as write_board
from tests.support import record_factory
from tests.support.record_factory import predictions, record

CLAIM = Printed("a paper", "1", "softmax", "", "digits-lt", 20.0, "ce", "", "resnet20", 16, 0.0, {"all": 49.0})
ROW = PrintedRow("a paper", "1", "softmax", "", "digits-lt", "20", "resnet20", "this paper", CLAIM.accuracy, CLAIM)
GIVEN = Given((ROW,))


def add(board: Path, name: str, **changes: Any) -> None:
    given = predictions()
    record_factory.write(record(given, **changes), given, board / "results", name)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    folder = write_board(tmp_path / "digits")
    for seed in range(3):
        add(folder, f"ce{seed}", task__seed=seed)
    return read_board(folder)


def test_every_form_says_the_same(board: Board) -> None:
    files = generate(board, GIVEN)
    assert sorted(files) == ["README.md", "board.csv", "board.json", "board.tex", "index.html", "printed.md"]
    content = json.loads(files["board.json"])
    (table,) = content["tables"]
    assert table["rows"][0]["metrics"]["accuracy.all"]["mean"] == 50.0  # 3 + 2 + 1 + 0 of 12
    ((one,),) = table["reported"]
    assert (one["verdict"], one["differences"]) == ("not comparable", {"all": 1.0})
    text = files["README.md"].decode()
    assert text.startswith("# Digits\n\n<!-- board -->\n## digits-lt@20")
    (line,) = (line for line in files["printed.md"].decode().splitlines() if "a paper, table 1" in line)
    assert [cell.strip() for cell in line.split("|")[11:15]] == ["50.0 ± 0.0", "+1.0", "not run yet", "common track"]


def test_the_page_of_each_row_shows_what_predictions_hold(board: Board) -> None:
    (row,) = json.loads(generate(board)["board.json"])["tables"][0]["rows"]
    # Three runs of one prediction: classes of 101, 100, 20 and 19 images, of which 3, 2, 1 and 0 of three are right.
    assert row["fates"] == {"many": [100.0, 0.0, 0.0, 0.0], "medium": [50.0, 0.0, 16.7, 33.3], "few": [0.0, 100.0, 0.0, 0.0]}
    assert row["calibration"] == [[0.5, 50.0, 100.0]] and row["training"] == [[1, 1, None, 2.5]]


def test_what_an_author_wrote_around_the_markers_stays(board: Board) -> None:
    (board.folder / "README.md").write_text("Über uns\n<!-- board -->\nold\n<!-- /board -->\nafter\n", encoding="utf-8")
    text = generate(board)["README.md"].decode()
    assert text.startswith("Über uns\n<!-- board -->\n##") and text.endswith("<!-- /board -->\nafter\n") and "old" not in text
    (board.folder / "README.md").write_text("no markers\n", encoding="utf-8")
    with pytest.raises(UserError, match="must hold the two markers"):
        generate(board)


def test_what_must_be_known_stands_on_every_page(tmp_path: Path) -> None:
    """A remark of the dataset, and that a class of the four had no test image."""
    whole = predictions()
    fewer = Predictions(*(getattr(whole, name)[:9] for name in ("ids", "labels", "argmax", "confidence", "log_prob")))
    folder = write_board(tmp_path / "digits")
    record_factory.write(record(fewer), fewer, folder / "results", "ce")
    files = generate(read_board(folder), remarks={"digits-lt": "digits are known"})
    for name, content in files.items():
        text = content.decode()
        assert "digits are known" in text and "over 3 of 4 classes (few 0 of 1): the others have no test image" in text, name


def test_writing_twice_changes_nothing(board: Board) -> None:
    files = generate(board, GIVEN)
    assert write(board.folder, files) == list(files)
    assert write(board.folder, generate(board, GIVEN)) == []
    assert not list(board.folder.glob(".*"))


@pytest.mark.parametrize("name", ["README.md", "board.json", "board.csv", "board.tex", "index.html", "printed.md"])
def test_one_character_is_a_difference(board: Board, name: str) -> None:
    write(board.folder, generate(board, GIVEN))
    file = board.folder / name
    file.write_bytes(file.read_bytes().replace(b"50.0", b"50.1", 1))
    assert differing(board.folder, generate(board, GIVEN)) == [name]


def test_another_printed_figure_is_a_difference(board: Board) -> None:
    write(board.folder, generate(board, GIVEN))
    claim = replace(CLAIM, accuracy={"all": 49.1})
    files = generate(board, Given((replace(ROW, accuracy=claim.accuracy, claim=claim),)))
    assert differing(board.folder, files) == ["board.json", "index.html", "printed.md"]


@pytest.mark.parametrize("ending", [".json", ".npz"])
def test_one_character_of_a_record_or_of_its_predictions_is_refused(board: Board, ending: str) -> None:
    file = min(board.results.glob(f"*{ending}"))
    content = file.read_bytes()
    place = content.index(b'"all": ') + len('"all": ') if ending == ".json" else 200
    file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1:])
    with pytest.raises(UserError, match="cannot be published|cannot be read|damaged"):
        generate(board, GIVEN)


@pytest.mark.parametrize(("field", "value", "said"), [
    ("metrics__accuracy__all", 51.0, "ce9.json: metrics.accuracy.all does not follow from the predictions"),
    ("core__dirty", True, "ce9.json: it is of a commit with changes of its own"),
])
def test_nothing_is_published_that_records_do_not_carry(board: Board, field: str, value: Any, said: str) -> None:
    add(board.folder, "ce9", task__seed=9, **{field: value})
    with pytest.raises(UserError, match=f"board 'digits' cannot be published: {said}"):
        generate(board)


def test_a_contradiction_or_an_empty_board_is_not_published(board: Board, tmp_path: Path) -> None:
    add(board.folder, "other", task__seed=0, key="other")
    with pytest.raises(UserError, match="are of one run .* neither is used"):
        generate(board)
    with pytest.raises(UserError, match="holds no record"):
        generate(read_board(write_board(tmp_path / "empty")))


def test_a_board_without_records_says_what_is_asked_for(tmp_path: Path) -> None:
    """The first record fills its row, and makes the files of a table."""
    board = read_board(write_board(tmp_path / "digits"))
    given = replace(GIVEN, asked=(RUN,))
    files = generate(board, given)
    assert sorted(files) == ["README.md", "board.json", "index.html", "printed.md"]
    assert ">not run yet<" in files["index.html"].decode()
    text = files["README.md"].decode()
    assert "## Still to run" in text and "| ce | not run yet |" in text and "| a paper | 1 | 1 | 1 not run yet |" in text
    assert "| this paper | 49 | — | — | — | not run yet |" in files["printed.md"].decode()
    write(board.folder, files)
    add(board.folder, "first")
    files = generate(board, given)
    assert len(files) == 6 and "| ce | 1 of 3 seeds |" in files["README.md"].decode()


def test_the_table_with_most_ranked_rows_opens_the_board(board: Board) -> None:
    add(board.folder, "high", protocol__epochs=200, expression="la")  # one seed: no interval
    content = json.loads(generate(board)["board.json"])
    assert [table["protocol"]["epochs"] for table in content["tables"]] == [16, 200]
    for seed in (1, 2):
        add(board.folder, f"high{seed}", protocol__epochs=200, expression="la", task__seed=seed)
    content = json.loads(generate(board)["board.json"])
    assert [table["protocol"]["epochs"] for table in content["tables"]] == [200, 16]  # as many rows: the longer training first


def test_another_folder_locale_and_time_zone_give_the_same_bytes(board: Board, tmp_path: Path) -> None:
    """In processes of their own: a locale is a process's."""
    home = board.folder.parent  # which has no reported.csv, as a board of one's own
    made = []
    for name, settings in (("a", {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "1"}),
                           ("b", {"LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "2"})):
        root = tmp_path / name / "elsewhere"
        shutil.copytree(home / "digits", root / "digits")
        subprocess.run([sys.executable, "-m", "ltbench.cli.main", "leaderboard", str(root / "digits")], check=True,
                       env={**os.environ, **settings}, capture_output=True)
        made.append({file.name: file.read_bytes() for file in (root / "digits").iterdir() if file.is_file()})
    assert made[0] == made[1] and len(made[0]) == 6
