from __future__ import annotations

import math

import numpy as np
import pytest

from ltbench.results.calibration import expected_calibration_error, negative_log_likelihood
from ltbench.results.predictions import Predictions


def _predictions(confidence: list[float], right: list[bool], log_prob: float = -1.0) -> Predictions:
    n = len(confidence)
    labels = np.zeros(n, dtype=np.int64)
    argmax = np.array([0 if hit else 1 for hit in right], dtype=np.int64)
    figures = np.array(confidence, dtype=np.float32), np.full(n, log_prob, dtype=np.float32)
    return Predictions(np.arange(n), labels, argmax, *figures)


def test_error_by_hand() -> None:
    # Bin (14/15, 1]: confidences 1 and 1, one right: gap |1/2 - 1| = 1/2. Bin (7/15, 8/15]: 0.5, right: gap 1/2. Weighted: 1/2.
    assert expected_calibration_error(_predictions([1.0, 1.0, 0.5], [True, False, True])) == 0.5
    # One bin: |1/2 - 0.625| = 0.125, where two bins would say (0.25 + 0.5) / 2.
    assert expected_calibration_error(_predictions([0.75, 0.5], [True, False]), bins=1) == 0.125
    assert expected_calibration_error(_predictions([0.75, 0.5], [True, False]), bins=2) == 0.375


def test_a_bin_holds_its_upper_edge() -> None:
    # With 2 bins, 0.5 lies in (0, 0.5] next to 0.25 (gap |1/2 - 0.375|), and not in (0.5, 1].
    assert expected_calibration_error(_predictions([0.25, 0.5], [True, False]), bins=2) == 0.125


def test_error_against_a_slow_loop() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.random(2000).astype(np.float32)
    right = (generator.random(2000) < confidence**2).tolist()
    expected = 0.0
    for b in range(15):
        inside = [i for i in range(2000) if b / 15 < confidence[i] <= (b + 1) / 15]
        if inside:
            accuracy = sum(right[i] for i in inside) / len(inside)
            expected += len(inside) / 2000 * abs(accuracy - sum(float(confidence[i]) for i in inside) / len(inside))
    assert expected > 0.1  # squared probabilities are far from calibrated
    assert expected_calibration_error(_predictions(confidence.tolist(), right)) == pytest.approx(expected, rel=1e-12)


def test_loss_by_hand() -> None:
    given = _predictions([0.5, 0.5], [True, True])
    object.__setattr__(given, "log_prob", np.log(np.array([0.5, 0.125], dtype=np.float32)))
    assert negative_log_likelihood(given) == pytest.approx(2 * math.log(2), abs=1e-7)


def test_an_infinite_loss_is_none() -> None:
    assert negative_log_likelihood(_predictions([0.5], [False], -math.inf)) is None


def test_no_images_have_no_figures() -> None:
    assert expected_calibration_error(_predictions([], [])) is None
    assert negative_log_likelihood(_predictions([], [])) is None
