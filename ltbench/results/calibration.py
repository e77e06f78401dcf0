"""Whether a model's probabilities can be believed: calibration error (Guo et al., 2017, eq. 3) and test loss."""

from __future__ import annotations

import math

import numpy as np

from ltbench.results.predictions import Predictions

BINS = 15


def expected_calibration_error(predictions: Predictions, bins: int = BINS) -> float | None:
    """Average the gap between confidence and accuracy over equal-width bins of confidence.

    Bin b of B holds the confidences in (b / B, (b + 1) / B]; each bin weighs as many images as it holds. The figure lies in
    [0, 1], and is over images: a balanced test part makes it one over classes too.

    Args:
        bins: How many.

    Returns:
        The error; None without images.
    """
    if not len(predictions):
        return None
    # A float32 has 24 bits, so this product is exact in float64 and no image changes its bin by rounding.
    confidence = predictions.confidence.astype(np.float64)
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)  # (N,)
    right = predictions.argmax == predictions.labels
    gaps = []
    for b in np.unique(index):
        inside = index == b
        # |hits - sum of confidences| is the bin's count times its gap.
        gaps.append(abs(int(right[inside].sum()) - math.fsum(confidence[inside].tolist())))
    return math.fsum(gaps) / len(predictions)


def negative_log_likelihood(predictions: Predictions) -> float | None:
    """Return the mean cross-entropy of the test images in nats.

    Returns:
        The loss; None without images, or where a true class got probability 0 and the mean is infinite.
    """
    if not len(predictions) or not np.isfinite(predictions.log_prob).all():
        return None
    return -math.fsum(predictions.log_prob.tolist()) / len(predictions)
