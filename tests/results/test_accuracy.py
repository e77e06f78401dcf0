from __future__ import annotations

import pytest

from ltbench.results.accuracy import (
    balanced_error,
    harmonic_mean,
    per_class_accuracy,
    per_class_counts,
    shot_accuracy,
    worst_class,
    worst_tenth,
)
from tests.support.record_factory import predictions


def test_counts_by_hand() -> None:
    correct, total = per_class_counts(predictions(right=(3, 2, 1, 0)), 5)
    assert correct.tolist() == [3, 2, 1, 0, 0]
    assert total.tolist() == [3, 3, 3, 3, 0]


def test_counts_refuse_a_class_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="labels must be below 3, got 3"):
        per_class_counts(predictions(), 3)


def test_splits_follow_the_strict_rule() -> None:
    # Exactly 100 and exactly 20 are medium; 101 is many and 19 is few.
    result = shot_accuracy([10, 6, 2, 1], [10, 10, 10, 10], [101, 100, 20, 19])
    assert result == {"all": 47.5, "many": 100.0, "medium": 40.0, "few": 10.0}


def test_cifar100_at_ratio_10_has_no_few_classes() -> None:
    counts = [int(500 * 0.1 ** (k / 99)) for k in range(100)]
    result = shot_accuracy([1] * 69 + [0] * 31, [2] * 100, counts)
    assert result == {"all": pytest.approx(34.5), "many": 50.0, "medium": 0.0, "few": None}


def test_a_mean_is_over_classes_and_not_over_images() -> None:
    # 90 of 100 and 0 of 10: 45 over classes, 81.8 over images.
    assert shot_accuracy([90, 0], [100, 10], [500, 5])["all"] == 45


def test_classes_without_test_images_are_left_out() -> None:
    accuracy = per_class_accuracy([1, 0], [2, 0])
    assert accuracy == [50.0, None]
    assert shot_accuracy([1, 0], [2, 0], [500, 5]) == {"all": 50.0, "many": 50.0, "medium": None, "few": None}
    assert (balanced_error(accuracy), worst_class(accuracy), worst_tenth(accuracy), harmonic_mean(accuracy)) == (50, 50, 50, 50)


def test_figures_over_classes_by_hand() -> None:
    accuracy = [100.0, 50.0, 25.0]
    assert balanced_error(accuracy) == pytest.approx(100 - 175 / 3)
    assert worst_class(accuracy) == 25
    assert harmonic_mean(accuracy) == pytest.approx(3 / (0.01 + 0.02 + 0.04))  # 42.857...


def test_harmonic_mean_is_zero_if_a_class_is_never_right() -> None:
    assert harmonic_mean([100.0, 0.0]) == 0


@pytest.mark.parametrize(("classes", "worst"), [(1, 0.0), (10, 0.0), (11, 0.5), (20, 0.5), (21, 1.0)])
def test_worst_tenth_rounds_up(classes: int, worst: float) -> None:
    assert worst_tenth([float(k) for k in reversed(range(classes))]) == worst  # mean of 0 ... ceil(C / 10) - 1


def test_no_class_at_all_has_no_figure() -> None:
    assert [f([None]) for f in (balanced_error, worst_class, worst_tenth, harmonic_mean)] == [None] * 4


@pytest.mark.parametrize(("correct", "total"), [([2], [1]), ([-1], [1]), ([1, 1], [1])])
def test_impossible_counts_are_refused(correct: list[int], total: list[int]) -> None:
    with pytest.raises(ValueError, match="correct"):
        per_class_accuracy(correct, total)


def test_class_counts_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"class_counts must be of shape \(1,\)"):
        shot_accuracy([1], [1], [1, 2])
