from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltbench.errors import UserError
from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.outcomes import Outcomes, believe, stack
from ltbench.leaderboard.rows import Run, name_runs, run_of
from ltbench.results import records
from ltbench.results.predictions import Predictions
from ltbench.results.records import Stored
from tests.support import record_factory


def _write(directory: Path, name: str, given: Predictions | None = None, **changes: Any) -> Stored:
    given = given or record_factory.predictions()
    path = record_factory.write(record_factory.record(given, **changes), given, directory, name)
    return Stored(path, records.read(path))


def _stack(runs: Sequence[Run], *rows: Sequence[Stored]) -> Outcomes:
    return stack(runs, [[believe(item) for item in row] for row in rows])


def test_what_was_right(tmp_path: Path) -> None:
    one = _write(tmp_path, "a", record_factory.predictions(right=(3, 2, 1, 0)))
    other = _write(tmp_path, "b", record_factory.predictions(right=(0, 0, 0, 3)))
    found = _stack([(0, 0)], [one], [other])
    assert found.correct.astype(int).tolist() == [[[1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0]], [[0] * 9 + [1] * 3]]
    assert found.labels.tolist() == record_factory.LABELS and found.class_counts.tolist() == record_factory.CLASS_COUNTS


def test_rows_keep_their_completed_runs_with_their_files(tmp_path: Path) -> None:
    stored = [_write(tmp_path / str(seed), f"run{seed}", task__seed=seed) for seed in (1, 0)]  # of equal predictions
    path = record_factory.write(record_factory.broken("failed", task__seed=2), None, tmp_path, "broken")
    (table,), _ = collect([*stored, Stored(path, records.read(path))])
    found = table.rows[0].runs
    assert [(run, item.path.name) for run, item in found.items()] == [((0, 0), "run0.json"), ((0, 1), "run1.json")]
    assert _stack(list(found), list(found.values())).runs == ((0, 0), (0, 1))
    assert run_of(record_factory.model(task__seed=7, task__split_seed=3)) == (3, 7)


def test_missing_and_tampered_predictions_are_refused(tmp_path: Path) -> None:
    item = _write(tmp_path, "a")
    record_factory.predictions(right=(3, 3, 3, 3)).save(tmp_path / "a.npz")
    with pytest.raises(UserError, match=r"^record .*a\.json: metrics\.accuracy\.all does not follow from the predictions$"):
        believe(item)
    (tmp_path / "a.npz").unlink()
    with pytest.raises(UserError, match=r"^predictions .*a\.npz cannot be read: No such file or directory$"):
        believe(item)


def test_a_changed_confidence_is_seen(tmp_path: Path) -> None:
    item = _write(tmp_path, "a")
    given = record_factory.predictions()
    replace(given, log_prob=given.log_prob * np.float32(2)).save(tmp_path / "a.npz")
    with pytest.raises(UserError, match="does not follow from the predictions"):
        believe(item)


def test_equal_test_images_are_held_once(tmp_path: Path) -> None:
    given = record_factory.predictions()
    one, same = believe(_write(tmp_path, "a")), believe(_write(tmp_path, "b", record_factory.predictions(right=(0, 0, 0, 3))))
    other = believe(_write(tmp_path, "c", replace(given, ids=given.ids + 1)))
    shared = same.sharing(one)
    assert shared.ids is one.ids and shared.labels is one.labels and shared.correct is same.correct
    assert other.sharing(one) is other and one.sharing(None) is one


def test_other_test_images_are_refused(tmp_path: Path) -> None:
    given = record_factory.predictions()
    one, other = _write(tmp_path, "a"), _write(tmp_path, "b", replace(given, ids=given.ids + 1), task__seed=1)
    with pytest.raises(UserError, match=r"test images must be the same in all runs, got others in .*b\.json than in .*a\.json"):
        _stack([(0, 0), (0, 1)], [one, other])


def test_other_class_counts_are_refused(tmp_path: Path) -> None:
    one, other = _write(tmp_path, "a"), _write(tmp_path, "b", split__class_counts=[102, 100, 20, 19], task__split_seed=1)
    with pytest.raises(UserError, match="class counts must be the same in all runs"):
        _stack([(0, 0), (1, 0)], [one, other])


def test_runs_are_named_by_their_subset() -> None:
    assert name_runs([(0, 0)]) == "seed 0 of split seed 0"
    assert name_runs([(0, 0), (0, 2), (1, 5)]) == "seeds 0, 2 of split seed 0; seed 5 of split seed 1"
