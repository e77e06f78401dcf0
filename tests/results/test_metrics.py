from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score, log_loss, recall_score

from ltbench.results.metrics import standard_metrics
from ltbench.results.predictions import Predictions
from tests.support.record_factory import CLASS_COUNTS, predictions


def test_metrics_by_hand() -> None:
    metrics = standard_metrics(predictions(right=(3, 2, 1, 0)), CLASS_COUNTS)
    assert metrics == {
        "accuracy": {"all": pytest.approx(50), "many": 100, "medium": pytest.approx(50), "few": 0},
        "balanced_error": pytest.approx(50),
        "worst_class": 0,
        "worst_tenth": 0,
        "harmonic_mean": 0,
        "ece": 0,  # half of the predictions are right, at confidence 0.5
        "test_loss": 1,
    }


def test_metrics_of_real_digits_against_scikit_learn() -> None:
    """Nearest centroid, trained on a long tail of the digits."""
    pixels, labels = load_digits(return_X_y=True)
    counts = [int(110 * (1 / 10) ** (k / 9)) for k in range(10)]
    train = np.concatenate([np.flatnonzero(labels == k)[:n] for k, n in enumerate(counts)])
    test = np.concatenate([np.flatnonzero(labels == k)[110:160] for k in range(10)])
    centroids = np.stack([pixels[train][labels[train] == k].mean(axis=0) for k in range(10)])
    distances = ((pixels[test][:, None] - centroids) ** 2).sum(axis=2)
    log_probs = torch.from_numpy(-distances / 100).log_softmax(dim=1)
    metrics = standard_metrics(Predictions.from_log_probabilities(test, labels[test], log_probs), counts)

    guess = distances.argmin(axis=1)
    recall = 100 * recall_score(labels[test], guess, average=None)
    assert metrics["accuracy"]["all"] == pytest.approx(100 * balanced_accuracy_score(labels[test], guess))
    assert metrics["accuracy"]["many"] == pytest.approx(recall[:1].mean())
    assert metrics["accuracy"]["medium"] == pytest.approx(recall[1:7].mean())
    assert metrics["accuracy"]["few"] == pytest.approx(recall[7:].mean())
    assert metrics["worst_class"] == pytest.approx(recall.min())
    assert metrics["harmonic_mean"] == pytest.approx(10 / (1 / recall).sum())
    assert metrics["test_loss"] == pytest.approx(log_loss(labels[test], log_probs.exp().numpy()), rel=1e-5)
    assert 80 < metrics["accuracy"]["all"] < 95  # a nearest centroid reads most digits
