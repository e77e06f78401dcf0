from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.opponents import find, opponents
from ltbench.leaderboard.tables import render
from ltbench.planning.expression import as_typed, resolve
from ltbench.registry.discovery import load_registry
from ltbench.results import records
from tests.planning.test_paper_rows import plan_of


@pytest.mark.parametrize(("text", "shown"), [
    ("drw+nc", "drw+nc"),
    ("nc + drw", "nc+drw"),
    ("nc+drw/crt", "nc+drw/crt"),
    ("crt", "ce/crt"),  # the stage below was not typed
    ("mixup+ce+la", "mixup+la"),  # the base says nothing beside others
    ("ce/maxnorm+wd(weight_decay=0.001)", "ce/maxnorm+wd(weight_decay=0.001)"),
])
def test_the_order_stays_as_it_was_typed(text: str, shown: str) -> None:
    registry = load_registry()
    assert as_typed(resolve(text, registry), text, registry) == shown


def test_the_order_changes_no_name_and_no_key() -> None:
    one, other = (plan_of(f"ltbench run --methods {text} --dataset cifar100-lt --seeds 0") for text in ("drw+nc", "nc+drw"))
    assert (one.typed, other.typed) == ("drw+nc", "nc+drw")
    assert str(one.expression) == str(other.expression)
    assert (one.file_name, one.key, one.expression.hash) == (other.file_name, other.key, other.expression.hash)
    assert [stage.key for stage in one.stages] == [stage.key for stage in other.stages]


def test_rows_that_mean_the_same_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    runs = tmp_path / "runs"
    for seed, text in ((0, "la+drw"), (1, "drw+la")):
        arguments = ["--methods", text, "--dataset", "digits-lt", "--seeds", str(seed), "--protocol", "smoke", "--cpu"]
        assert main(["run", *arguments, "--out", str(runs)]) == 0
    stored, problems = records.read_directory(runs)
    canonical = {item.record.expression for item in stored}
    typed = [item.record.typed for item in sorted(stored, key=lambda item: item.record.task.seed)]
    assert problems == [] and len(canonical) == 1
    assert [one or canonical.copy().pop() for one in typed] == ["la+drw", "drw+la"]
    (table,), contradictions = collect(stored)
    assert contradictions == [] and [(row.method, len(row.completed)) for row in table.rows] == [("la+drw", 2)]
    assert "| la+drw " in render([table], "md")
    known, _ = opponents(stored)
    assert find("drw+la", known) == find("la+drw", known)
    assert main(["check", str(runs)]) == 0
    path = next(item.path for item in stored if item.record.typed)
    path.write_text(path.read_text().replace('"typed": "', '"typed": "ce+'), encoding="utf-8")
    capsys.readouterr()
    assert main(["check", str(path)]) == 1
    assert "typed: must be " in capsys.readouterr().out
