"""The pages that say what the boards know, which are generated and kept in the repository."""

from __future__ import annotations

import csv
import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ltbench.leaderboard.given import read_given
from ltbench.leaderboard.ranking import NOT_COMPARED, TIED, WORSE
from tests.support.blocks import ROOT


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """Load tools/board_pages.py, which is no package."""
    spec = importlib.util.spec_from_file_location("board_pages", ROOT / "tools" / "board_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(method: str, few: float | None, *, seeds: int = 3, tied: bool | None = False, first: str = "ce") -> dict[str, Any]:
    """A row as board.json has it, its accuracy over all classes 40 and over the few-shot ones as given."""
    figures = {"accuracy.all": 40.0, "accuracy.many": 50.0, "accuracy.medium": 40.0, "accuracy.few": few,
               "ece": 0.1}
    standing = NOT_COMPARED if tied is None else TIED if tied else WORSE
    return {"method": method, "standing": standing, "completed": [{}] * seeds, "stages": [{"expression": first}],
            "metrics": {name: {"mean": mean, "ci95": mean and [mean - 0.5, mean + 0.5], "runs": seeds}
                        for name, mean in figures.items()}}


def board(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    table = {"rows": list(rows), "dataset": "x-lt", "imbalance_ratio": 100.0, "train_images": 10_000, "precision": "fp32",
             "external": None, "track": "common", "protocol": {"name": "common", "epochs": 200, "backbone": "resnet32"},
             **changes}
    return {"name": "x-lt", "title": "X-LT", "tables": [table] if rows else [], "claims": [], "printed": []}


def cells(page: str) -> dict[str, str]:
    """Return the lines of a page's tables, the first cell with the second."""
    lines = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return {line[0]: line[1] for line in lines}


def test_they_are_what_the_boards_say(tool: ModuleType) -> None:
    for file, text in tool.pages().items():
        assert Path(file).read_text(encoding="utf-8") == text, "run: ltbench leaderboard && python tools/board_pages.py"


def test_what_is_best_in_what(tool: ModuleType) -> None:
    rows = [row("a", 10.0, tied=True), row("b", 30.0), row("c", 20.0, first="ldam"), row("d", None),
            row("once", 90.0, seeds=1, tied=None), row("two", 90.0, seeds=2, tied=None)]
    found = cells(tool.choosing_page([board(*rows)]))
    assert found["[X-LT](../leaderboards/x-lt/README.md)"] == "4 rows, 10,000 images, 200 epochs"
    assert found["all classes alike"] == "leading: `a` 40.0 ± 0.5"
    assert found["small classes (few-shot)"] == "`b` 30.0 ± 0.5, `c` 20.0 ± 0.5, `a` 10.0 ± 0.5"
    assert found["little cost: a network trained with cross-entropy is there and stays"].startswith("`a` 40.0 ± 0.5, `b`")
    assert found["the network may be trained anew"] == "`c` 40.0 ± 0.5"


@pytest.mark.parametrize(("changes", "situation"), [
    ({"train_images": 100_000}, "a large set (more than 50,000 images)"),
    ({"external": "external pre-training"}, "a frozen pre-trained backbone"),
    ({"tuning": {"trials": 20}}, "hyperparameters tuned for the data"),
    ({}, "training as long as in print (200 epochs)"),
])
def test_what_nobody_ran_is_said(tool: ModuleType, changes: dict[str, Any], situation: str) -> None:
    assert cells(tool.choosing_page([board()]))[situation].startswith("none yet")
    assert cells(tool.choosing_page([board(row("a", 1.0, tied=True), **changes)]))[situation] == "see below"


def test_ratios_of_one_dataset_can_be_compared(tool: ModuleType) -> None:
    one, other = board(row("a", 1.0)), board(row("a", 1.0), imbalance_ratio=10.0)
    assert cells(tool.choosing_page([one, one]))["one ratio against another"].startswith("none yet")
    assert cells(tool.choosing_page([one, other]))["one ratio against another"] == "see below"


def test_thin_evidence_is_said(tool: ModuleType) -> None:
    page = " ".join(tool.choosing_page([board(row("a", 1.0), train_images=400, protocol={
        "name": "quick", "epochs": 16, "backbone": "digits"})]).split())
    assert "Thin evidence: one dataset at one ratio and one split; 16 epochs where papers train 200; a set so small" in page


def test_every_paper_has_its_claims_figures_and_doubts(tool: ModuleType) -> None:
    page = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
    sections = page.split("\n## ")[1:]
    assert [section.split("\n")[0] for section in sections] == list(tool.SOURCES)
    for section in sections:
        assert section.count("| claim | data |") == 1 and section.count("| data | in | figures |") == 1
        assert len(section.split("Open doubts")[1].split(";")) > 5


def test_every_printed_figure_is_counted_once(tool: ModuleType) -> None:
    with (tool.BOARDS / "reported.csv").open(newline="", encoding="utf-8") as file:
        own = Counter(line["source"] for line in csv.DictReader(file) if line["run_by"] == "this paper")
    page = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
    totals = {source: tuple(map(int, (figures, *re.findall(r"\d+", verdicts)))) for source, figures, verdicts in
              re.findall(r"^\| \[[^]]+\]\(#([^)]+)\) \| (\d+) \| ([^|]+) \|", page, re.M)}
    assert {source: figures for source, (figures, *_) in totals.items()} == own
    assert all(figures == sum(verdicts) for figures, *verdicts in totals.values())


def test_two_papers_with_one_claim_keep_their_own_verdicts(tool: ModuleType) -> None:
    claims = read_given(tool.BOARDS).claims
    of_paper = {claim.better.source: claim for claim in claims if claim.says.startswith("Class means alone classify better")}
    assert set(of_paper) == {"prototype", "learned-ncm"}
    found = {tool.name_of(claim): [{"terms": tool.PAPERS_TERMS, "verdict": verdict, "text": verdict}]
             for claim, verdict in zip(of_paper.values(), (tool.OPEN, tool.HOLDS), strict=True)}
    assert [tool.judged([claim], found) for claim in of_paper.values()] == [["1", "0", "0", "1", "0"], ["1", "1", "0", "0", "0"]]
