from __future__ import annotations

import numpy as np
import pytest
import torch

from ltbench.data.inspection.counts import Bin, class_counts, draw_histogram, gini, histogram


def test_gini_by_hand() -> None:
    assert gini([7, 7, 7]) == 0
    assert gini([1, 3]) == pytest.approx(0.25)  # |1 - 3| twice over 2 * 2 classes * 4 images
    assert gini([10, 0]) == pytest.approx(0.5)  # all in one of two classes: 1 - 1 / C


def test_gini_is_the_mean_difference_of_pairs() -> None:
    counts = np.random.default_rng(0).integers(1, 500, 40).tolist()
    pairs = [abs(a - b) for a in counts for b in counts]
    assert gini(counts) == pytest.approx(np.mean(pairs) / (2 * np.mean(counts)))


def test_a_label_that_is_no_class_is_counted_nowhere() -> None:
    counts, wrong = class_counts(torch.tensor([0, 2, 2, 3, -1]), 3, "train")
    assert counts.tolist() == [1, 0, 2]
    assert [finding.line for finding in wrong] == ["train: image 3 must have a label from 0 to 2, got 3",
                                                   "train: image 4 must have a label from 0 to 2, got -1"]


def test_every_class_is_in_one_bin() -> None:
    assert histogram([0, 0, 5]) == [Bin(0, 0, 2), Bin(5, 5, 1)]
    assert histogram([0]) == [Bin(0, 0, 1)]
    counts = np.random.default_rng(0).integers(0, 2000, 500)
    bins = histogram(counts)
    for found in bins:
        assert found.classes == sum(found.low <= count <= found.high for count in counts)
    assert sum(found.classes for found in bins) == 500
    assert all(one.high + 1 == other.low for one, other in zip(bins[1:], bins[2:], strict=False))
    assert bins[-1].high == counts.max()


def test_bars_are_as_long_as_bins_are_full() -> None:
    assert draw_histogram([Bin(1, 9, 80), Bin(10, 1000, 1), Bin(1001, 1001, 0)]) == [
        f"     1 to 9     80  {'#' * 40}", "10 to 1,000      1  #", "      1,001      0"]
