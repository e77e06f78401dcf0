from __future__ import annotations

import math
from typing import Any

import pytest

from ltbench.results.schema import Record
from ltbench.trust.verdict import describe, judge, prediction_interval
from tests.support import record_factory

RIGHT = [(3, 3, 3, 3), (3, 3, 3, 2), (3, 3, 2, 2)]  # 12, 11 and 10 of 12 images


def _record(right: tuple[int, int, int, int], seed: int = 0, **changes: Any) -> Record:
    return record_factory.model(record_factory.predictions(right=right), task__seed=seed, **changes)


def test_interval_by_hand() -> None:
    # Mean 11, s = sqrt(2), t(0.975, 1) = 12.7062: 12.7062 sqrt(2) sqrt(3 / 2) = 22.0078.
    found = prediction_interval([10.0, 12.0])
    assert found is not None and found.runs == 2
    assert found.low == 0 and math.isclose(found.high, 11 + 22.0078, abs_tol=1e-3)  # no run is below 0
    # Mean 3, s = 1, t(0.975, 2) = 4.30265: 4.30265 sqrt(4 / 3) = 4.96827.
    found = prediction_interval([2.0, 3.0, 4.0])
    assert found is not None and math.isclose(found.high, 7.96827, abs_tol=1e-4)
    assert 7.96 in found and 7.97 not in found and None not in found
    assert prediction_interval([1.0]) is None


def test_equal_runs_reproduce_whatever_the_others_are() -> None:
    record = _record(RIGHT[0])
    again = _record(RIGHT[0], core__commit="ab" * 20, timing__seconds={"stage 1": 99.0})
    verdict = judge(record, again, [])
    assert verdict.reproduced and verdict.same_predictions and verdict.differing == []
    assert list(describe(verdict)) == [
        "records equal: yes", "predictions equal: yes",
        *(f"accuracy {name}: recorded 100.00, now 100.00, difference +0.00" for name in ("all", "many", "medium", "few")),
        "reproduced: every prediction is equal",
    ]


def test_an_edited_accuracy_is_told_apart() -> None:
    record = _record(RIGHT[1], metrics__accuracy__all=92.0)
    verdict = judge(record, _record(RIGHT[1]), [_record(RIGHT[0], 1), _record(RIGHT[2], 2)])
    assert not verdict.reproduced
    assert verdict.reason == "equal predictions do not give metrics.accuracy.all as the record has it"
    assert "accuracy all: recorded 92.00, now 91.67, difference -0.33" in describe(verdict)


def test_a_plugins_figure_alone_refutes_nothing() -> None:
    verdict = judge(_record(RIGHT[1], metrics__extra={"angle": 1.0}), _record(RIGHT[1], metrics__extra={"angle": 1.1}), [])
    assert verdict.reproduced and verdict.differing == ["metrics.extra.angle"]


def test_other_predictions_are_judged_by_the_other_seeds() -> None:
    # 100 and 83.33: mean 91.67, s = 11.785, half width 183.4. Everything is within.
    verdict = judge(_record(RIGHT[1]), _record(RIGHT[2]), [_record(RIGHT[0], 1), _record(RIGHT[2], 2)])
    assert verdict.reproduced and verdict.same_predictions is False and verdict.interval is not None
    assert (verdict.interval.low, verdict.interval.high) == (0, 100)
    # Three seeds that agree: nothing else is within.
    same = [_record(RIGHT[1], seed) for seed in (1, 2, 3)]
    verdict = judge(_record(RIGHT[0]), _record(RIGHT[1]), same)
    assert not verdict.reproduced and verdict.reason == "the record lies outside the interval"
    assert judge(_record(RIGHT[0]), _record(RIGHT[2]), same).reason == "the record and the second run lie outside the interval"


def test_too_few_seeds_say_nothing() -> None:
    verdict = judge(_record(RIGHT[1]), _record(RIGHT[2]), [_record(RIGHT[0], 1)])
    assert not verdict.reproduced and verdict.interval is None
    assert verdict.reason.endswith("two other seeds of the row are needed to say by how much they may, got 1")


@pytest.mark.parametrize(("first", "second", "reproduced", "reason"), [
    ("diverged", "diverged", True, "both runs diverged (loss is NaN)"),
    ("completed", "diverged", False, "it completed, and the second run diverged (loss is NaN)"),
    ("diverged", "completed", False, "it diverged (loss is NaN), and the second run completed"),
])
def test_status(first: str, second: str, reproduced: bool, reason: str) -> None:
    made = {"completed": record_factory.model(), "diverged": Record.model_validate(record_factory.broken("diverged"))}
    verdict = judge(made[first], made[second], [])
    assert (verdict.reproduced, verdict.reason) == (reproduced, reason)
    assert not any("predictions" in line for line in describe(verdict) if not line.startswith("records"))
