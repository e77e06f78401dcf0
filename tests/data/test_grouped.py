from __future__ import annotations

import numpy as np
import pytest

from ltbench.data.grouped import draw_groups, group_numbers, joined
from ltbench.data.held_out import hold_out
from ltbench.data.longtail import Split, split_hash


def test_what_hangs_together_in_two_ways_is_one_group() -> None:
    copies = np.array([0, 1, 0, 3, 4, 4, 6])
    groups = np.array([9, 9, 2, 2, 5, 7, 8])
    # 0 and 1 by their group, 0 and 2 as copies, 2 and 3 by their group; 4 and 5 as copies; 6 alone.
    assert joined(copies, groups).tolist() == [0, 0, 0, 0, 1, 1, 2]


def test_a_fifth_comes_in_whole_groups() -> None:
    """200 images of two classes, in groups of 4 that hold 3 of one class and 1 of the other."""
    labels = np.tile([0, 0, 0, 1, 1, 1, 1, 0], 25)
    groups = np.arange(200) // 4
    chosen = draw_groups(labels, groups, np.array([20, 20]), np.random.default_rng(0))
    assert all(len({*chosen[groups == group].tolist()}) == 1 for group in range(50))
    taken = np.bincount(labels[chosen])
    assert taken.max() == 20 and taken.min() > 0  # every group holds both classes: none fits any more
    assert np.array_equal(chosen, draw_groups(labels, groups, np.array([20, 20]), np.random.default_rng(0)))
    assert not np.array_equal(chosen, draw_groups(labels, groups, np.array([20, 20]), np.random.default_rng(1)))


def test_a_class_of_large_groups_gives_its_smallest() -> None:
    labels = np.array([0] * 10 + [1] * 10)
    groups = np.array([0] * 6 + [1] * 4 + list(range(2, 12)))
    chosen = draw_groups(labels, groups, np.array([2, 2]), np.random.default_rng(0))
    assert set(groups[chosen & (labels == 0)].tolist()) == {1}
    assert np.bincount(labels[chosen]).tolist() == [4, 2]


def test_a_class_in_one_group_gives_none() -> None:
    labels, groups = np.array([0] * 5 + [1] * 5), np.array([3] * 5 + [4, 5, 6, 7, 8])
    chosen = draw_groups(labels, groups, np.array([1, 1]), np.random.default_rng(0))
    assert np.bincount(labels[chosen], minlength=2).tolist() == [0, 1]


@pytest.mark.parametrize("seed", [0, 1])
def test_images_held_out_come_in_groups_too(seed: int) -> None:
    indices = np.arange(60)[::-1].copy()
    split = Split(indices, np.array([40, 20]), split_hash(indices))
    groups = np.arange(60) // 5
    kept, held = hold_out(split, seed, groups)
    assert not set(groups[kept.indices].tolist()) & set(groups[held].tolist())
    assert sorted([*kept.indices.tolist(), *held.tolist()]) == list(range(60)) and held.tolist() == sorted(held.tolist())
    assert kept.class_counts.tolist() == [35, 15] and kept.hash == split_hash(kept.indices)  # a fifth of 40 is 8: one group of 5


def test_groups_are_numbered_over_all_parts() -> None:
    texts = ["1.0", "", "10", "1", "", "2"]
    numbers, wrong = group_numbers(texts, {"train": [0, 1, 2], "val": [5], "test": [3, 4]})
    assert wrong == "images of one group must be in one part, got '1.0' in train and test"
    assert numbers[0] == numbers[3] and len(set(numbers.tolist())) == 5  # who has none is alone
    texts[2] = "x"  # not all are numbers
    numbers, wrong = group_numbers(texts, {"train": [0, 1, 2], "val": [5], "test": [3, 4]})
    assert wrong is None and len(set(numbers.tolist())) == 6
