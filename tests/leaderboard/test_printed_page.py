from __future__ import annotations

from dataclasses import replace

from ltbench.leaderboard.asked import Asked
from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.printed_page import NOT_RUN, Beside, nearest, printed_page, summary, verdict_of
from ltbench.leaderboard.reported import NOT_COMPARABLE, Printed, PrintedRow, Reproduction
from ltbench.leaderboard.rows import Row
from tests.support.record_factory import record, stored

CLAIM = Printed("a paper", "1", "ncm", "200 epochs", "digits-lt", 20.0, "ce/ncm", "", "resnet32", 200, 0.0,
                {"all": 48.7, "few": 9.0})
OWN = PrintedRow("a paper", "1", "ncm", "200 epochs", "digits-lt", "20", "resnet32", "this paper", CLAIM.accuracy, CLAIM)
QUOTED = replace(OWN, method="focal", run_by="quoted", claim=None, accuracy={"all": 44.0})
RUN = Asked("", "digits-lt", 20.0, "paper", "paper", "", "", "ce/ncm", "resnet32", 200, 0.0, (0, 1, 2), 2_150_400, 9 * 10**14, 1,
            "ltbench run --methods ncm")


def row(expression: str) -> Row:
    (table,), _ = collect(stored(record(expression=expression)))
    return table.rows[0]


def beside(expression: str, verdict: str, reason: str) -> Beside:
    verdicts = {} if verdict == NOT_COMPARABLE else {"all": verdict, "few": "not reproduced"}
    return Beside(row(expression), Reproduction(CLAIM, verdict, reason, {"all": 1.3, "few": -2.54}, verdicts))


def lines(*found: Beside) -> list[list[str]]:
    page = printed_page("Digits", [OWN, QUOTED], list(found), [RUN])
    assert page.startswith("# Digits: the printed figures\n")
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| a paper")]


def test_what_was_not_run_says_so_and_has_its_command_and_cost() -> None:
    own, quoted = lines()
    assert own == ["a paper, table 1", "ncm", "20", "resnet32", "200 epochs", "this paper", "48.7", "—", "—", "9", NOT_RUN, "—",
                   NOT_RUN, "—", "2.2 M images, 0.9 PFLOP", "ltbench run --methods ncm"]
    assert quoted[5:] == ["quoted", "44", *["—"] * 9]


def test_a_record_fills_its_row() -> None:
    own, _ = lines(beside("ce/ncm", "inconclusive", "1 seed, 3 are needed"))
    assert own[6:10] == ["48.7", "—", "—", "9 (-2.5, not reproduced)"]
    assert own[10:14] == ["50.0", "+1.3", "inconclusive", "1 seed, 3 are needed"]


def test_the_same_methods_on_other_terms_are_shown_and_not_judged() -> None:
    far = beside("ce/ncm", NOT_COMPARABLE, "common track; epochs 16 instead of 200")
    near = beside("ce/ncm(distance=cosine)", NOT_COMPARABLE, "common track")
    own, _ = lines(far, near)
    assert own[6:10] == ["48.7", "—", "—", "9"]
    assert own[10:14] == ["50.0", "+1.3", NOT_RUN, "common track"]
    assert nearest(CLAIM, [far, near]) is near
    assert nearest(CLAIM, [near, beside("ce/ncm", "reproduced", "")]) != near


def test_other_methods_say_nothing_of_a_row() -> None:
    other = beside("wd/ncm", NOT_COMPARABLE, "expression wd/ncm instead of ce/ncm")
    assert nearest(CLAIM, [other]) is None and verdict_of(None) == NOT_RUN


def test_the_summary_counts_rows_and_verdicts_on_their_figures() -> None:
    found = [beside("ce/ncm", "reproduced", "")]
    assert summary([OWN, QUOTED], found) == [["a paper", "2", "1", "1 not reproduced, 1 reproduced"]]
    assert summary([OWN], []) == [["a paper", "1", "1", "2 not run yet"]]
    assert summary([QUOTED], []) == [["a paper", "1", "0", "—"]]
