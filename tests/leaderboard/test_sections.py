from __future__ import annotations

from dataclasses import replace

from ltbench.leaderboard.claims import FAILS, HOLDS, Claim
from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.differences import Difference
from ltbench.leaderboard.findings import PAPERS_TERMS, Finding
from ltbench.leaderboard.sections import claims_section, describe, printed_section, to_run_section
from tests.leaderboard.test_asked import RUN
from tests.leaderboard.test_findings import CLAIM
from tests.support.record_factory import record, stored


def finding(claim: Claim, terms: str, verdict: str, value: float, reason: str = "") -> Finding:
    return Finding(claim, terms, Difference("all", 40.0, 40.0 + value, value, (value - 1, value + 1), None), 3, verdict, reason)


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]


def test_claims_are_counted_and_listed() -> None:
    other = replace(CLAIM, says="and again")
    there = finding(CLAIM, "common track, 200 epochs", FAILS, -3.0, "the other way round")
    found = [[finding(CLAIM, PAPERS_TERMS, HOLDS, 2.0), there], []]
    counts, _, numbers, header, _, first, second = cells(claims_section([CLAIM, other], found))
    assert counts[1:] == ["claims", "reproduced", "not reproduced", "not decidable", "not run yet"]
    assert numbers == ["a paper", "2", "1", "0", "0", "1"]
    assert header == ["paper", "ratio", "claim", "classes", "printed", PAPERS_TERMS, "common track, 200 epochs"]
    assert first == ["a paper, table 1", "20", "means are better", "all", "+2.0", "reproduced: +2.0 (+1.0 to +3.0)",
                     "does not hold: -3.0 (-4.0 to -2.0); the other way round"]
    assert second[5:] == ["not run yet", "—"]
    assert claims_section([], []) == ""


def test_a_verdict_of_print_is_given_on_the_papers_terms_alone() -> None:
    assert describe(finding(CLAIM, PAPERS_TERMS, FAILS, -2.0)).startswith("not reproduced: -2.0")
    assert describe(finding(CLAIM, "common track, 200 epochs", HOLDS, 2.0)).startswith("holds: +2.0")


def test_what_lacks_seeds_is_still_to_run() -> None:
    none, some = replace(RUN, expression="la"), RUN
    tables, _ = collect(stored(record(task__seed=0)))
    _, _, first, second = cells(to_run_section([none, some], tables))
    assert first[1:] == ["la", "not run yet", RUN.cost] and second[1:3] == ["ce", "1 of 3 seeds"]
    tables, _ = collect(stored(*(record(task__seed=seed) for seed in range(3))))
    assert to_run_section([some], tables) == ""


def test_printed_figures_in_short() -> None:
    assert cells(printed_section([["a paper", "2", "1", "1 reproduced"]]))[2] == ["a paper", "2", "1", "1 reproduced"]
    assert printed_section([]) == ""
