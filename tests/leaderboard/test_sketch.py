"""What a page draws of predictions and of training, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.sketch import row_sketch, sketch, training
from ltbench.results.calibration import expected_calibration_error
from ltbench.results.predictions import Predictions
from tests.support.record_factory import CLASS_COUNTS, predictions, record, stored


def test_where_test_images_end() -> None:
    """Classes of 101 (many), 100, 20 (medium) and 19 (few) images; a wrong one is taken for the next class."""
    found = sketch(predictions(right=(3, 2, 1, 0)), CLASS_COUNTS)
    # Right, and for another of many, medium, few. Class 1: 2 of 3 right, one for class 2; class 2: 1 right, two for class 3.
    assert [[round(share, 2) for share in group or ()] for group in found.fates] == [
        [100, 0, 0, 0], [50, 0, 16.67, 33.33], [0, 100, 0, 0]]


def test_a_group_without_test_images_is_none_and_classes_count_alike() -> None:
    whole = predictions(right=(3, 2, 1, 0))
    fewer = Predictions(*(getattr(whole, name)[:7] for name in ("ids", "labels", "argmax", "confidence", "log_prob")))
    found = sketch(fewer, CLASS_COUNTS)  # three images of class 1, 2 of them right, and one of class 2, which is right
    assert found.fates[2] is None and found.fates[1] is not None
    assert round(found.fates[1][0], 2) == 83.33  # (2/3 + 1) / 2
    assert set(row_sketch([found, None], [])["fates"]) == {"many", "medium"}
    assert row_sketch([None], []) == {"fates": None, "calibration": None, "training": None}


def test_bins_are_those_of_the_calibration_error() -> None:
    given = predictions(right=(3, 0, 0, 0))
    confidence = np.array([.05, .1, .2, 1.0, .9, .5, .5, .5, .5, .7, .7, 0.0], dtype=np.float32)
    given = replace(given, confidence=confidence)
    found = sketch(given, CLASS_COUNTS)
    assert sum(count for count, _, _ in found.bins) == 12 and found.bins[0][0] == 2  # of .05 and 0
    gap = sum(abs(right - total) for _, total, right in found.bins) / 12
    error = expected_calibration_error(given)
    assert error is not None and abs(gap - error) < 1e-12
    drawn = row_sketch([found, found], [])["calibration"]
    assert drawn[0] == [0.025, 50.0, 16.67] and drawn[-1] == [1.0, 0.0, 8.33]
    assert round(sum(share for *_, share in drawn)) == 100


def curves(*of_runs: list[dict[str, Any]]) -> Any:
    (table,), _ = collect(stored(*(record(curve=curve, task__seed=seed) for seed, curve in enumerate(of_runs))))
    return training(table.rows[0].records)


def test_training_is_a_mean_over_runs_and_goes_on_over_stages() -> None:
    one = [{"epoch": 0, "loss": 9.0}, {"epoch": 1, "loss": 2.0, "train_accuracy": 10.0}, {"epoch": 1, "part": 0.5, "loss": 8.0},
           {"epoch": 2, "loss": 1.0, "train_accuracy": 50.0}, {"stage": 2, "epoch": 1, "loss": 0.5, "train_accuracy": 90.0}]
    other = [{"epoch": 1, "loss": 4.0, "train_accuracy": 20.0}, {"epoch": 2, "loss": None, "train_accuracy": 70.0},
             {"stage": 2, "epoch": 1, "loss": 0.7, "train_accuracy": 70.0}]
    assert curves(one, other) == [[1, 1, 15.0, 3.0], [1, 2, 60.0, None], [2, 3, 80.0, 0.6]]
    assert curves([]) is None


def test_a_long_training_is_thinned_out_and_keeps_its_ends() -> None:
    found = curves([{"stage": stage, "epoch": epoch, "loss": 1.0} for stage, epochs in ((1, 200), (2, 3))
                    for epoch in range(1, epochs + 1)])
    assert len(found) <= 34 and found[0][:2] == [1, 1]
    assert [[1, 200], [2, 201], [2, 203]] == [moment[:2] for moment in found if moment[1] >= 200 and moment[1] != 202]
