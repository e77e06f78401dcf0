from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ltbench.cli.main import main
from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.tables import render
from ltbench.results import records
from ltbench.results.metrics import standard_metrics
from ltbench.results.predictions import Predictions
from ltbench.results.tested import count_tested, tell_of, tell_tested
from tests.support import record_factory
from tests.support.record_factory import CLASS_COUNTS


def test_by_hand() -> None:
    counts = [101, 100, 20, 19, 1]  # one many, two medium, two few
    assert count_tested(counts, [3, 3, 3, 3, 3]) is None and tell_tested(counts, [1] * 5) is None
    assert count_tested(counts, [3, 0, 3, 0, 3]) == {"all": 3, "many": 1, "medium": 1, "few": 1}
    assert tell_tested(counts, [3, 0, 3, 0, 3]) == ("over 3 of 5 classes (medium 1 of 2, few 1 of 2): the others have no test "
                                                    "image")


@pytest.fixture
def fewer() -> Predictions:
    """Of the factory's four classes the last one, the only few-shot one, has no test image."""
    whole = record_factory.predictions()
    return Predictions(*(getattr(whole, name)[:9] for name in ("ids", "labels", "argmax", "confidence", "log_prob")))


TEXT = "over 3 of 4 classes (few 0 of 1): the others have no test image"


def test_figures_carry_it(fewer: Predictions) -> None:
    metrics = standard_metrics(fewer, CLASS_COUNTS)
    assert metrics["tested_classes"] == {"all": 3, "many": 1, "medium": 2, "few": 0}
    assert metrics["accuracy"] == {"all": pytest.approx(200 / 3), "many": 100, "medium": pytest.approx(50), "few": None}
    assert "tested_classes" not in standard_metrics(record_factory.predictions(), CLASS_COUNTS)


def test_it_stands_beside_the_number_everywhere(fewer: Predictions, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = records.write(record_factory.model(fewer), fewer, tmp_path, "run")
    stored = [records.Stored(path, records.read(path))]
    assert records.verify(stored[0].record, fewer) == []
    (table,), _ = collect(stored)
    for form in ("md", "latex", "csv", "json"):
        assert TEXT in render([table], form)
    assert main(["show", str(path)]) == 0
    assert f"figures are {TEXT}" in capsys.readouterr().out.splitlines()
    assert main(["check", str(path)]) in (0, 1)
    assert f"{path}: warning: metrics.accuracy: is {TEXT}" in capsys.readouterr().out.splitlines()
    assert main(["compare", str(path), str(path)]) == 0
    assert f"figures are {TEXT}" in capsys.readouterr().out.splitlines()


def test_seeds_that_lack_different_classes_are_all_told(fewer: Predictions) -> None:
    whole = record_factory.predictions()
    last = Predictions(*(getattr(whole, name)[3:] for name in ("ids", "labels", "argmax", "confidence", "log_prob")))
    made = [record_factory.model(given, task__seed=seed) for seed, given in enumerate([fewer, last, fewer, whole])]
    assert tell_of(made) == f"{TEXT}; over 3 of 4 classes (many 0 of 1): the others have no test image"
    assert tell_of(made[3:]) is None


def test_what_it_says_is_verified(fewer: Predictions) -> None:
    claimed = record_factory.model(fewer, metrics__tested_classes={"all": 4, "many": 1, "medium": 2, "few": 1})
    assert [mismatch.field for mismatch in records.verify(claimed, fewer)] == ["metrics.tested_classes.all",
                                                                               "metrics.tested_classes.few"]
    whole = record_factory.predictions()
    claimed = record_factory.model(whole, metrics__tested_classes={"all": 4, "many": 1, "medium": 2, "few": 1})
    assert [mismatch.field for mismatch in records.verify(claimed, whole)] == ["metrics.tested_classes"]


def test_records_of_before_are_what_they_were(fewer: Predictions) -> None:
    now, before = record_factory.model(fewer), record_factory.record(fewer)
    del before["metrics"]["tested_classes"]
    old = records.Record.model_validate(before)
    assert records.verify(old, fewer) == [] and records.equal(old, now) == records.equal(now, old) == []
    assert "tested_classes" not in old.as_dict()["metrics"]
    assert np.isclose(old.as_dict()["metrics"]["accuracy"]["all"], 200 / 3)
