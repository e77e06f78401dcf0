from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ltbench.data.digits import DigitsLT
from ltbench.data.held_out import held_out_counts, hold_out
from ltbench.data.longtail import Split, split_hash
from ltbench.data.parts import TensorImages
from ltbench.data.task_data import TaskData, load_parts, load_task_data
from ltbench.errors import UserError
from ltbench.registry.discovery import load_registry
from ltbench.running.tuning.validation import trial_data
from ltbench.terms.task import Task


@pytest.fixture(scope="module")
def digits() -> TaskData:
    """Digits at ratio 100: the last class has one image."""
    return load_task_data(DigitsLT(), load_parts(DigitsLT(), None, download=False), Task("digits-lt", 100.0), None)


def test_a_fifth_of_each_class_is_held_out_and_one_image_always_stays() -> None:
    counts = np.array([500, 101, 10, 9, 5, 4, 2, 1])
    assert held_out_counts(counts).tolist() == [100, 20, 2, 1, 1, 1, 1, 0]


def test_both_parts_make_the_split_and_share_nothing(digits: TaskData) -> None:
    kept, held = hold_out(digits.split, 0)
    assert sorted([*kept.indices, *held]) == sorted(digits.split.indices)
    labels = digits.parts.train.labels.numpy()
    assert np.bincount(labels[held], minlength=10).tolist() == held_out_counts(digits.split.class_counts).tolist()
    assert np.bincount(labels[kept.indices], minlength=10).tolist() == kept.class_counts.tolist()
    assert np.all(np.diff(labels[kept.indices]) >= 0)  # class by class, as every split
    assert kept.class_counts.min() == 1 and (kept.class_counts + held_out_counts(digits.split.class_counts)).tolist() == \
        digits.class_counts.tolist()


def test_the_division_depends_on_the_split_and_its_seed_alone(digits: TaskData) -> None:
    again = hold_out(Split(digits.split.indices.copy(), digits.split.class_counts, digits.split.hash), 0)[1]
    assert np.array_equal(again, hold_out(digits.split, 0)[1])
    assert not np.array_equal(again, hold_out(digits.split, 1)[1])
    assert not np.array_equal(again, hold_out(replace(digits.split, hash="0" * 64), 0)[1])


def test_trials_are_judged_by_training_images_and_have_keys_of_their_own(digits: TaskData) -> None:
    data, validation = trial_data(digits, 0, None)
    assert validation.source == "held out" and sum(validation.counts) == len(data.test_indices)
    assert data.parts.test is digits.parts.train and not set(data.test_indices.tolist()) & set(data.split.indices.tolist())
    assert validation.counts[-1] == 0 and validation.sha256 == split_hash(data.test_indices.numpy())
    assert data.fingerprint != digits.fingerprint and data.class_counts.tolist() != digits.class_counts.tolist()
    assert data.labels.tolist() == digits.parts.train.labels[data.indices].tolist()


@pytest.mark.slow
def test_the_tail_of_cifar_100_keeps_what_it_has(cifar100_root: Path) -> None:
    dataset = load_registry(strict=False).datasets.get("cifar100-lt").load()()
    task = Task("cifar100-lt", 100.0)
    data = load_task_data(dataset, load_parts(dataset, cifar100_root, download=False), task, None)
    judged, validation = trial_data(data, 0, None)
    # 500 down to 5 images: a fifth of each class, rounded down, and none of the 39,153 that the construction dropped.
    assert (validation.counts[0], validation.counts[-1]) == (100, 1)
    assert sum(validation.counts) == sum(count // 5 for count in data.class_counts.tolist())
    assert set(judged.test_indices.tolist()) | set(judged.indices.tolist()) == set(data.indices.tolist())


def test_a_validation_list_of_the_sets_own_leaves_the_split_whole(digits: TaskData) -> None:
    val = TensorImages(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 0, 3, 9]))
    own = replace(digits, parts=replace(digits.parts, val=val))
    data, validation = trial_data(own, 0, None)
    assert validation.source == "own" and validation.counts == (2, 0, 0, 1, 0, 0, 0, 0, 0, 1)
    assert data.split is digits.split and data.fingerprint == digits.fingerprint and data.parts.test is val
    assert trial_data(own, 0, 1)[1].counts == (1, 0, 0, 1, 0, 0, 0, 0, 0, 1)


def test_a_split_without_an_image_to_spare_is_refused(digits: TaskData) -> None:
    first = np.concatenate([[0], np.cumsum(digits.split.class_counts)[:-1]])
    indices = digits.split.indices[first]
    single = replace(digits, split=Split(indices, np.ones(10, dtype=np.int64), split_hash(indices)))
    with pytest.raises(UserError, match="digits-lt must have a class with two training images, or a validation list"):
        trial_data(single, 0, None)
