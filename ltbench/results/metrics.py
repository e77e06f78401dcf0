"""Every figure that a record carries, from predictions and training counts alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.results.accuracy import (
    balanced_error,
    harmonic_mean,
    per_class_accuracy,
    per_class_counts,
    shot_accuracy,
    worst_class,
    worst_tenth,
)
from ltbench.results.calibration import expected_calibration_error, negative_log_likelihood
from ltbench.results.predictions import Predictions
from ltbench.results.tested import count_tested
from ltbench.terms.shots import USUAL, Splits


def standard_metrics(predictions: Predictions, class_counts: npt.ArrayLike, splits: Splits = USUAL) -> dict[str, Any]:
    """Compute the figures that every record has, in full precision.

    Accuracies, the balanced error and the harmonic mean are in percent; the calibration error lies in [0, 1]; the loss is in
    nats. A figure that does not exist (an empty split) is None. Where classes have no test image, ``tested_classes`` says how
    many have.

    Args:
        class_counts: Training images of each class, shape (C,).
        splits: Where many, medium and few part.

    Raises:
        ValueError: If a label or a prediction is not one of the C classes.
    """
    counts = np.asarray(class_counts, dtype=np.int64)  # (C,)
    correct, total = per_class_counts(predictions, len(counts))
    accuracy = per_class_accuracy(correct, total)
    tested = count_tested(counts.tolist(), total.tolist(), splits)
    return {
        "accuracy": shot_accuracy(correct, total, counts, splits),
        **({} if tested is None else {"tested_classes": tested}),
        "balanced_error": balanced_error(accuracy),
        "worst_class": worst_class(accuracy),
        "worst_tenth": worst_tenth(accuracy),
        "harmonic_mean": harmonic_mean(accuracy),
        "ece": expected_calibration_error(predictions),
        "test_loss": negative_log_likelihood(predictions),
    }
