from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ltbench.leaderboard.claims import HOLDS, OPEN, Claim
from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.findings import PAPERS_TERMS, Finding, Measured, findings
from ltbench.leaderboard.outcomes import believe
from ltbench.leaderboard.ranking import standings
from ltbench.leaderboard.reported import Printed
from ltbench.results.metrics import standard_metrics
from ltbench.results.records import read_directory
from ltbench.terms.protocol import Protocol
from ltbench.terms.shots import Splits
from tests.support import record_factory

Right = tuple[int, int, int, int]
PAPER = Protocol("paper", "resnet32", 200).as_dict()
SOFTMAX = Printed("a paper", "1", "softmax", "", "digits-lt", 20.0, "ce", "lncm", "resnet32", 200, 0.0, {"all": 46.0})
NCM = replace(SOFTMAX, method="ncm", expression="ce/ncm", accuracy={"all": 48.0})
CLAIM = Claim("means are better", "all", NCM, SOFTMAX, 2.0, ("ce/ncm", "ce"))


def write(folder: Path, expression: str, runs: list[Right], name: str = "", **changes: Any) -> None:
    for seed, right in enumerate(runs):
        given = record_factory.predictions(right=right)
        value = record_factory.record(given, expression=expression, task__seed=seed, **changes)
        record_factory.write(value, given, folder, f"{name}{expression.replace('/', '-')}-{seed}")


def found(folder: Path, claim: Claim = CLAIM) -> list[Finding]:
    stored, problems = read_directory(folder)
    assert problems == []
    outcomes = {item.path: believe(item) for item in stored}
    return findings(claim, [Measured(table, standings(table, outcomes, resamples=200), outcomes) for table in collect(stored)[0]])


def test_the_common_track_is_asked_by_its_own_expressions(tmp_path: Path) -> None:
    """Accuracies 3 + 1 of 12 and 3 + 2 of 12 in every seed: a difference of one image, 8.3 points."""
    write(tmp_path, "ce", [(3, 1, 0, 0)] * 3)
    write(tmp_path, "ce/ncm", [(3, 2, 0, 0)] * 3)
    (one,) = found(tmp_path)
    assert (one.terms, one.runs) == ("common track, quick protocol, 16 epochs", 3)
    assert one.difference.value == pytest.approx(100 / 12)
    assert one.difference.first == pytest.approx(400 / 12)


def test_a_row_whose_methods_had_two_codes_decides_nothing(tmp_path: Path) -> None:
    write(tmp_path, "ce", [(3, 1, 0, 0)] * 3)
    write(tmp_path, "ce/ncm", [(3, 2, 0, 0)] * 3)
    changed = [{**stage, "methods": [{**stage["methods"][0], "sources": {"ce.py": "bb"}}]}
               for stage in record_factory.record()["stages"]]
    given = record_factory.predictions(right=(3, 3, 3, 3))
    value = record_factory.record(given, expression="ce/ncm", task__seed=3, stages=changed)
    record_factory.write(value, given, tmp_path, "changed")
    assert found(tmp_path) == []


def test_a_seed_alone_decides_nothing(tmp_path: Path) -> None:
    write(tmp_path, "ce", [(3, 1, 0, 0)])
    write(tmp_path, "ce/ncm", [(3, 2, 0, 0), (3, 3, 3, 3)])
    (one,) = found(tmp_path)
    assert (one.verdict, one.reason, one.difference.interval) == (OPEN, "1 seed, 3 are needed", None)
    assert one.difference.value == pytest.approx(100 / 12)  # of seed 0, which both have


@pytest.mark.parametrize(("changes", "verdicts"), [
    ({}, [HOLDS]),
    ({"paper": "prototype"}, []),  # on another paper's terms
    ({"protocol": {**PAPER, "epochs": 90}}, []),
])
def test_the_papers_terms_are_those_of_the_printed_rows(tmp_path: Path, changes: dict[str, Any], verdicts: list[str]) -> None:
    terms: dict[str, Any] = {"track": "paper", "protocol": PAPER, "paper": "lncm", **changes}
    write(tmp_path, "ce", [(0, 0, 0, 0)] * 3, **terms)
    write(tmp_path, "ce/ncm", [(3, 3, 3, 3)] * 3, **terms)
    seen = found(tmp_path, replace(CLAIM, common=None))
    assert [one.verdict for one in seen] == verdicts
    assert all(one.terms == PAPERS_TERMS and one.difference.value == pytest.approx(100) for one in seen)


def test_where_classes_part_elsewhere_nothing_was_measured_of_a_claim(tmp_path: Path) -> None:
    for expression, right in (("ce", (0, 0, 0, 0)), ("ce/ncm", (3, 3, 3, 3))):
        metrics = standard_metrics(record_factory.predictions(right=right), record_factory.CLASS_COUNTS, Splits(50, 10))
        write(tmp_path, expression, [right] * 3, protocol__splits=[50, 10], metrics=metrics)
    assert found(tmp_path) == []


def test_rows_of_two_tables_are_compared_over_the_runs_of_both(tmp_path: Path) -> None:
    """One of the rows has a first stage of its own, so that its table is another one."""
    terms: dict[str, Any] = {"track": "paper", "paper": "lncm"}
    write(tmp_path, "ce", [(0, 0, 0, 0)] * 3, **terms, protocol=PAPER)
    write(tmp_path, "ce/ncm", [(3, 3, 3, 3)] * 2, **terms, protocol={**PAPER, "weight_decay": 1e-4})
    (one,) = found(tmp_path)
    assert (one.runs, one.verdict) == (2, OPEN)
    assert one.difference.value == pytest.approx(100)


def test_nothing_is_found_where_a_row_or_a_class_is_missing(tmp_path: Path) -> None:
    write(tmp_path, "ce", [(3, 1, 0, 0)] * 3)
    assert found(tmp_path) == []
    write(tmp_path, "ce/ncm", [(3, 2, 0, 0)] * 3)
    assert found(tmp_path, replace(CLAIM, better=replace(NCM, imbalance_ratio=100.0))) == []
