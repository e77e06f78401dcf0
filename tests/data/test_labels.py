from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ltbench.data.labels import cell_text, class_numbers, same_numbers, say_alike
from ltbench.errors import UserError


def test_whole_numbers_are_numbers_however_they_are_written() -> None:
    written = [f"{k}.0" for k in range(12)]
    assert list(class_numbers("x", set(same_numbers(written, written)))) == [str(k) for k in range(12)]  # 10 is not before 2
    assert same_numbers(["007", "7.0", "-1.00", "7"], ["7"]) == ["7", "7", "-1", "7"]
    assert same_numbers(["01", "cat"], ["01", "00"]) == ["1", "cat"]  # of another part: named as it is
    assert same_numbers(["01", "1.5"], ["01", "1.5"]) == ["01", "1.5"]


@pytest.mark.parametrize("written", [["1.0", "2.0"], ["1.0", "2", "3.0"], ["-1.0", "0.0"], ["0.0", "2.0"], ["0.0", "v1"]])
def test_numbers_with_a_point_that_are_no_classes_from_0_on_are_names(written: list[str]) -> None:
    assert same_numbers(written, written) == written
    assert list(class_numbers("x", written)) == sorted(written)


@pytest.mark.parametrize(("one", "other"), [("Cat", "cat"), ("cat", "cat "), ("big cat", "big  cat"), ("caf\xe9", "cafe\u0301"),
                                            ("STRASSE", "stra\xdfe")])
def test_names_that_a_person_takes_for_one_are_told(one: str, other: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(class_numbers("csv:pets", {one, other, "dog"})) == {one, other, "dog"}
    first, second = sorted([one, other])
    assert capsys.readouterr().err == (
        f"warning: classes {first!r} and {second!r} of csv:pets differ in case, in spaces or in how their letters are coded "
        "alone: each is a class of its own\n")
    say_alike("csv:pets", ["cat", "cats", "dog"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("value", "text"), [
    (None, ""), (float("nan"), ""), (3.0, "3"), (3.5, "3.5"), (" cat ", "cat"), (0, "0"), (True, "True"), (float("inf"), "inf"),
    (b"cat", None), (["cat"], None), ({"label": 1}, None)])
def test_a_cell_is_what_a_text_table_would_hold(value: object, text: str | None) -> None:
    assert cell_text(value) == text


def test_half_of_a_pair_is_no_name() -> None:
    with pytest.raises(UserError, match=r"^tar:x must have classes whose names are text, got '\\ud800'$"):
        class_numbers("tar:x", {"\ud800", "a"})


def test_names_need_no_locale() -> None:
    """Under C, and without Python's own remedies, the system's encoding is ASCII."""
    code = (r"from ltbench.data.labels import class_numbers; "
            r"print(ascii(list(class_numbers('x', {'\u0142', 'b', '\udcff', '\xe9'}))))")
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (r"['b', '\xe9', '\u0142', '\udcff']" + "\n", "")
