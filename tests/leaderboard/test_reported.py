from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ltbench.errors import UserError
from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.reported import Printed, read_reported, reproductions
from ltbench.leaderboard.rows import Row, Table
from ltbench.terms.protocol import Protocol
from tests.planning.test_paper_rows import mapped, plan_of
from tests.support.record_factory import broken, record, stored

REPORTED = Path(__file__).resolve().parents[2] / "leaderboards" / "reported.csv"
PAPER = Protocol("paper", "resnet32", 200).as_dict()
CLAIM = Printed("prototype", "1", "pc", "", "cifar100-lt", 100.0, "wd/pc(inputs=images)", "", "resnet32", 200, 0.0,
                {"all": 50.0, "few": 20.0})


def measured(*figures: float, diverged: int = 0, **changes: Any) -> tuple[Table, Row]:
    """Return the one row of records with these accuracies, one a seed, on the claim's terms."""
    terms: dict[str, Any] = {"expression": CLAIM.expression, "track": "paper", "protocol": PAPER, "task__dataset": "cifar100-lt",
                             "task__imbalance_ratio": 100.0, **changes}
    runs = [record(task__seed=seed, metrics__accuracy__all=figure, metrics__accuracy__few=21.0, **terms)
            for seed, figure in enumerate(figures)]
    runs += [broken("diverged", task__seed=seed, **terms) for seed in range(len(figures), len(figures) + diverged)]
    (table,), problems = collect(stored(*runs))
    assert problems == []
    return table, table.rows[0]


@pytest.mark.parametrize(("figures", "verdict", "reason"), [
    ((49.5, 49.6, 49.7), "reproduced", ""),  # half width 4.303 x .1 / sqrt(3) = .25
    ((48.0, 48.1, 48.2), "not reproduced", ""),
    ((49.0, 50.0, 51.0), "inconclusive", "the interval's half width is above 1 points"),  # 2.48
    ((53.0, 55.0, 57.0), "inconclusive", "the interval's half width is above 1 points"),  # 4.97 and 1 reach the 5 points
    ((54.0, 56.0, 58.0), "not reproduced", ""),  # and not these 6
    ((50.0, 50.0), "inconclusive", "2 seeds, 3 are needed"),
    ((50.0,), "inconclusive", "1 seed, 3 are needed"),
])
def test_verdicts(figures: tuple[float, ...], verdict: str, reason: str) -> None:
    (found,) = reproductions(*measured(*figures), [CLAIM], 1.0)
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.differences == {"all": pytest.approx(sum(figures) / len(figures) - 50), "few": pytest.approx(1.0)}
    # 21.0 in every seed where 20.0 is printed: on the edge of the tolerance, which is of the same seeds.
    assert found.verdicts == {"all": verdict, "few": "reproduced" if len(figures) == 3 else "inconclusive"}


def test_a_row_whose_methods_had_two_codes_stands_for_no_printed_one() -> None:
    table, row = measured(50.0, 50.0, 50.0)
    (found,) = reproductions(table, replace(row, other_code=("pc.py",)), [CLAIM], 1.0)
    assert (found.verdict, found.reason) == ("not comparable", "one of two codes of its methods")


def test_a_diverged_run_is_said() -> None:
    (found,) = reproductions(*measured(50.0, 50.0, diverged=1), [CLAIM], 1.0)
    assert (found.verdict, found.reason) == ("diverged", "1 of 3 runs")
    assert found.verdicts == {"all": "diverged", "few": "diverged"}


def test_every_printed_figure_of_a_row_has_a_verdict_of_its_own() -> None:
    table, row = measured(49.5, 49.6, 49.7)
    known = [replace(CLAIM, accuracy=accuracy) for accuracy in ({"all": 50.0, "few": 23.0}, {"few": 20.5}, {"many": 60.0})]
    found = reproductions(table, row, known, 1.0)
    assert [one.verdicts for one in found[:2]] == [{"all": "reproduced", "few": "not reproduced"}, {"few": "reproduced"}]
    assert [(one.verdict, one.reason) for one in found[1:]] == [("inconclusive", "no figure")] * 2
    assert reproductions(*measured(50.0, track="common"), [CLAIM], 1.0)[0].verdicts == {}


@pytest.mark.parametrize(("changes", "reason"), [
    ({"track": "common"}, "common track"),
    ({"protocol": {**PAPER, "epochs": 16}}, "epochs 16 instead of 200"),
    ({"protocol": {**PAPER, "backbone": "resnet34cifar"}}, "backbone resnet34cifar instead of resnet32"),
    ({"protocol": {**PAPER, "eval_noise": 0.1}}, "test noise 0.1 instead of 0.0"),
    ({"protocol": {**PAPER, "splits": [50, 10]}}, "classes many > 50, few < 10 instead of many > 100, few < 20"),
    ({"expression": "ce/pc(inputs=images)"}, "expression ce/pc(inputs=images) instead of wd/pc(inputs=images)"),
    ({"paper": "lncm"}, "terms of lncm instead of "),
    ({"split__test_counts": [3, 3, 3, 0]}, "over 3 of 4 classes (few 0 of 1): the others have no test image"),
])
def test_other_terms_conclude_nothing(changes: dict[str, Any], reason: str) -> None:
    (found,) = reproductions(*measured(50.0, 50.0, 50.0, **changes), [CLAIM], 1.0)
    assert (found.verdict, found.reason) == ("not comparable", reason)


def test_other_sets_and_methods_are_no_claim() -> None:
    for changes in ({"task__dataset": "cifar10-lt"}, {"task__imbalance_ratio": 50.0}, {"expression": "wd/pc+cdt"}):
        assert reproductions(*measured(50.0, **changes), [CLAIM], 1.0) == []


def test_the_nearest_rows_of_each_paper_are_shown() -> None:
    def claim(source: str, table: str, expression: str) -> Printed:
        return Printed(source, table, "row", "", "cifar100-lt", 100.0, expression, "", "resnet32", 200, 0.0, {"all": 50.0})

    near, far, other = claim("a", "1", "wd/pc(k=1)"), claim("a", "2", "wd/pc(k=2)"), claim("b", "1", "x/pc")
    found = reproductions(*measured(50.0, expression="ce/pc(k=1)"), [far, near, other], 1.0)
    assert [(one.printed.source, one.printed.table) for one in found] == [("a", "1"), ("b", "1")]


def test_each_claim_names_the_run_of_its_command() -> None:
    """On a difference: write the columns ``expression`` and ``run_*`` anew from the commands of plugins/README.md."""
    names = ("source", "table", "dataset", "imbalance_ratio", "backbone", "setting", "method")
    commands = dict(mapped())
    with REPORTED.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            said = [line[name] for name in ("expression", "run_paper", "run_ratio", "run_backbone", "run_epochs", "run_noise")]
            if line["run_by"] != "this paper":
                assert not any(said)
                continue
            plan = plan_of(commands[tuple(line[name] for name in names)])
            ratio, first = plan.task.imbalance_ratio, plan.stages[0].protocol
            assert said == [str(plan.expression), plan.paper or "", "" if ratio is None else f"{ratio:g}", first.backbone,
                            str(first.epochs), f"{plan.stages[-1].protocol.eval_noise:g}"]


def test_the_printed_figures() -> None:
    printed = read_reported(REPORTED)
    assert len(printed) == len(mapped())
    assert sum(len(claim.accuracy) for claim in printed) == 624
    pc = next(claim for claim in printed if (claim.source, claim.table, claim.method) == ("prototype", "1", "pc"))
    assert (pc.accuracy["all"], pc.expression, pc.epochs) == (52.56, "wd/pc(inputs=images)", 200)


@pytest.mark.parametrize(("before", "after", "said"), [
    (",76.12,", ",x,", r"accuracy in line 2 of '.*' must be a number, got 'x'"),
    (",76.12,", ",176.12,", r"line 2 of '.*' must hold one accuracy from 0 to 100 for each split, got '176.12'"),
    (",softmax,medium,", ",softmax,many,", r"line 3 of '.*' must hold one accuracy"),
    ("source,table", "paper,table", r"line 2 of '.*' must have the columns source, table"),
    (",wd,prototype,100,resnet32,200,0", ",,,,,,", "a line of prototype 1 'softmax' in .* must say which run stands for it"),
])
def test_a_damaged_file_is_named(tmp_path: Path, before: str, after: str, said: str) -> None:
    file = tmp_path / "reported.csv"
    text = REPORTED.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(UserError, match=said) as caught:
        read_reported(file)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        read_reported(tmp_path)
