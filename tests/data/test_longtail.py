from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from ltbench.data.longtail import exponential_counts, make_split, select, split_hash, step_counts, test_indices
from ltbench.data.parts import Parts
from ltbench.errors import UserError


@pytest.mark.parametrize(("classes", "largest", "ratio", "total"), [
    (100, 500, 10, 19573), (100, 500, 50, 12608), (100, 500, 100, 10847), (100, 500, 200, 9502),
    (10, 5000, 10, 20431), (10, 5000, 50, 13996), (10, 5000, 100, 12406), (10, 5000, 200, 11203),
])
def test_published_totals(classes: int, largest: int, ratio: float, total: int) -> None:
    counts = exponential_counts(classes, largest, ratio)
    assert sum(counts) == total
    assert counts[0] == largest
    assert counts[-1] == int(largest / ratio)


def test_exponential_counts_truncate() -> None:
    # 8 * 2 ** (-k / 2): 8, 5.66, 4, 2.83, 2
    assert exponential_counts(5, 8, 4) == [8, 5, 4, 2, 2]
    assert exponential_counts(1, 8, 4) == [8]


def test_step_counts_by_hand() -> None:
    assert step_counts(5, 9, 4) == [9, 9, 2, 2, 2]


def test_select_is_the_legacy_shuffle_class_by_class() -> None:
    labels = [1, 0, 1, 0, 1, 0]
    generator = np.random.RandomState(3)
    zeros, ones = np.array([1, 3, 5]), np.array([0, 2, 4])
    generator.shuffle(zeros)
    generator.shuffle(ones)
    assert select(labels, [2, 1], 3).tolist() == [*zeros[:2], ones[0]]


def test_split_hash_is_of_little_endian_int64() -> None:
    assert split_hash([3, 1]) == hashlib.sha256(struct.pack("<2q", 3, 1)).hexdigest()
    assert split_hash(np.array([3, 1], dtype=np.int32)) == split_hash(np.array([3, 1], dtype=">i8"))


def test_reference_subset_of_cifar100(cifar100: Parts) -> None:
    labels = cifar100.train.labels
    split = make_split(labels, 100, 500, 100.0)
    assert split.hash == "e0d58a4d2700c46062da852554e5d185bbee74d3c612b052ea2a839bdadf939e"
    counts = split.class_counts
    parts = [counts[counts > 100], counts[(counts >= 20) & (counts <= 100)], counts[counts < 20]]
    assert [(len(part), int(part.sum())) for part in parts] == [(35, 8824), (35, 1718), (30, 305)]
    assert make_split(labels, 100, 500, 200.0).class_counts[-1] == 2
    assert make_split(labels, 100, 500, 100.0, split_seed=1).hash != split.hash


LABELS = np.repeat([0, 1, 2], [10, 9, 8])


def test_realized_counts_are_those_of_the_chosen_images() -> None:
    split = make_split(LABELS, 3, 8, 4.0, split_seed=5)
    assert split.class_counts.tolist() == [8, 4, 2]
    assert np.bincount(LABELS[split.indices]).tolist() == [8, 4, 2]
    assert len(set(split.indices.tolist())) == 14
    assert split.indices.dtype == np.int64


def test_cap_keeps_a_part_of_the_same_images() -> None:
    full, capped = make_split(LABELS, 3, 8, 4.0), make_split(LABELS, 3, 8, 4.0, per_class=3)
    assert capped.class_counts.tolist() == [3, 3, 2]
    assert capped.indices.tolist() == [*full.indices[:3], *full.indices[8:11], *full.indices[12:14]]


def test_without_a_ratio_the_training_part_is_kept() -> None:
    labels = [1, 0, 1, 2]
    split = make_split(labels, 3, None, None)
    assert split.indices.tolist() == [1, 0, 2, 3]
    assert split.class_counts.tolist() == [1, 2, 1]


@pytest.mark.parametrize(("ratio", "words"), [
    (0.5, "ratio must be a finite number of at least 1.*got 0.5"),
    (float("nan"), "got nan"),
    (float("inf"), "got inf"),
    (9.0, "ratio must be at most 8 here, got 9: class 2 would have no image"),
])
def test_impossible_ratios(ratio: float, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make_split(LABELS, 3, 8, ratio)


def test_the_ratio_that_is_suggested_works() -> None:
    # 49 * (1 / 49) is 0.9999999999999999, so 49 itself would empty the last class.
    labels = np.repeat([0, 1], 49)
    with pytest.raises(UserError, match="at most 48 here, got 49"):
        make_split(labels, 2, 49, 49.0)
    assert make_split(labels, 2, 49, 48.0).class_counts.tolist() == [49, 1]


def test_never_silently_fewer() -> None:
    with pytest.raises(UserError, match="images of class 1 must be at most the 9 that there are, got 10"):
        make_split(LABELS, 3, 10, 1.0)
    with pytest.raises(UserError, match="class 1 must be at most the 9"):
        make_split(LABELS, 3, 10, 1.0, per_class=2)
    with pytest.raises(UserError, match="class 0 must be at most the 10"):
        select(LABELS, [11, 1, 1], 0)


def test_other_mistakes() -> None:
    with pytest.raises(UserError, match="class 2 has none"):
        make_split([0, 1, 1], 3, None, None)
    with pytest.raises(UserError, match="ratio must be left out"):
        make_split([0, 1, 1], 2, None, 10.0)
    with pytest.raises(UserError, match="split seed must be between 0 and 4294967295, got -1"):
        make_split(LABELS, 3, 8, 2.0, split_seed=-1)
    with pytest.raises(UserError, match="per_class must be at least 1, got 0"):
        make_split(LABELS, 3, 8, 2.0, per_class=0)
    with pytest.raises(UserError, match="labels must be below 2, got 2"):
        make_split(LABELS, 2, 8, 2.0)


def test_step_split() -> None:
    assert make_split(LABELS, 3, 8, 4.0, imbalance="step").class_counts.tolist() == [8, 2, 2]


def test_test_images_are_the_first_of_each_class() -> None:
    labels = [1, 0, 1, 1, 0, 0]
    assert test_indices(labels, 2, 2).tolist() == [0, 1, 2, 4]
    assert test_indices(labels, 2).tolist() == [0, 1, 2, 3, 4, 5]
