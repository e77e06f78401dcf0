from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ltbench.errors import UserError
from ltbench.leaderboard.comparison import compare
from ltbench.leaderboard.opponents import Opponent, opponents
from ltbench.results import records
from tests.support import record_factory


def _row(directory: Path, expression: str, runs: dict[int, tuple[int, int, int, int]], **changes: Any) -> Opponent:
    """One run a seed: how many of each class's three images are right."""
    for seed, hits in runs.items():
        given = record_factory.predictions(right=hits)
        value = record_factory.record(given, expression=expression, task__seed=seed, **changes)
        record_factory.write(value, given, directory / expression, f"run-{seed}")
    return next(one for one in opponents(records.read_directory(directory)[0])[0] if one.name == expression)


def test_by_hand(tmp_path: Path) -> None:
    first = _row(tmp_path, "ce", {0: (3, 3, 1, 0), 1: (3, 2, 2, 0), 3: (3, 3, 1, 0), 4: (3, 2, 2, 0)})
    second = _row(tmp_path, "la", {0: (2, 3, 1, 3), 1: (1, 2, 2, 2), 2: (0, 0, 0, 0), 3: (2, 3, 1, 3), 4: (1, 2, 2, 2)})
    found = compare(first, second, classes=1, resamples=100)
    # All: 7 of 12 both times against 9 and 7 of 12. Many: 3 and 3 against 2 and 1 of 3. Few: 0 and 0 against 3 and 2.
    values = {one.split: (one.first, one.second, one.value) for one in found.differences}
    assert values["all"] == pytest.approx((700 / 12, 800 / 12, 100 / 12))
    assert values["many"] == pytest.approx((100, 50, -50)) and values["few"] == pytest.approx((0, 500 / 6, 500 / 6))
    assert values["medium"] == pytest.approx((800 / 12, 800 / 12, 0))
    (gain,), (loss,) = found.gaining, found.losing
    assert (gain.label, gain.training_images, gain.change) == (3, 19, pytest.approx(500 / 6))
    assert (loss.label, loss.training_images, loss.change) == (0, 101, pytest.approx(-50))
    assert (found.runs, found.test_images, found.resamples) == (((0, 0), (0, 1), (0, 3), (0, 4)), 12, 100)
    assert found.left_out == ("la: seed 2 of split seed 0, which the other has not completed",)
    assert found.terms.startswith("digits-lt@20, common track, quick protocol")
    assert all(one.interval is not None and one.interval[0] <= one.value <= one.interval[1] for one in found.differences)


def test_a_method_against_itself(tmp_path: Path) -> None:
    one = _row(tmp_path, "ce", {0: (3, 3, 1, 0), 1: (3, 2, 2, 0), 2: (3, 1, 2, 0)})
    found = compare(one, one, resamples=50)
    assert [(d.value, d.interval, d.p) for d in found.differences] == [(0.0, (0.0, 0.0), 1.0)] * 4
    assert found.gaining == found.losing == ()


def test_no_interval_leaves_what_a_difference_can_be(tmp_path: Path) -> None:
    # Over many-shot classes: 0 to 100 three times in four, so that half the width is above 25.
    first = _row(tmp_path, "ce", dict.fromkeys(range(4), (0, 0, 0, 0)))
    second = _row(tmp_path, "la", {**dict.fromkeys(range(3), (3, 3, 3, 3)), 3: (0, 0, 0, 0)})
    found = compare(first, second, resamples=200)
    assert {(one.value, one.interval and one.interval[1]) for one in found.differences} == {(75.0, 100.0)}


def test_two_common_seeds_have_no_interval(tmp_path: Path) -> None:
    rows = [_row(tmp_path, name, dict.fromkeys(range(2), (3, 3, 1, 0))) for name in ("ce", "la")]
    found = compare(*rows)
    assert found.resamples == 0 and {(d.interval, d.p) for d in found.differences} == {(None, None)}


def test_one_common_seed_has_no_interval(tmp_path: Path) -> None:
    found = compare(_row(tmp_path, "ce", {0: (3, 3, 1, 0), 1: (3, 3, 1, 0)}), _row(tmp_path, "la", {1: (3, 3, 3, 0)}))
    assert found.resamples == 0 and {(d.interval, d.p) for d in found.differences} == {(None, None)}


def test_no_common_seed_is_refused(tmp_path: Path) -> None:
    first, second = _row(tmp_path, "ce", {0: (3, 3, 1, 0)}), _row(tmp_path, "la", {1: (3, 3, 3, 0), 2: (3, 3, 3, 0)})
    with pytest.raises(UserError, match=r"^'ce' and 'la' must have a run in common, got seed 0 of split seed 0 and seeds 1, 2"):
        compare(first, second)


def test_broken_runs_are_named(tmp_path: Path) -> None:
    record_factory.write(record_factory.broken("diverged", task__seed=5), None, tmp_path, "broken")
    found = compare(_row(tmp_path, "ce", {0: (3, 3, 1, 0)}), _row(tmp_path, "la", {0: (3, 3, 3, 0)}))
    assert found.left_out == ("ce: 1 of its runs diverged or failed",)
