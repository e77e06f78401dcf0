from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from ltbench.data.label_shift import build_shift, shifted_counts
from ltbench.data.longtail import split_hash
from ltbench.data.parts import Parts
from ltbench.data.randomness import derive_seed, uniform
from ltbench.terms.shift import Shift, shifts_of

DIGITS_LT = (120, 86, 61, 44, 31, 22, 16, 11, 8, 6)


@pytest.mark.parametrize(("test_counts", "class_counts", "ratio", "forward", "backward"), [
    # Shares 1, 1/2, 1/4. Classes 0 and 2 tie: in label order.
    ((8, 8, 8), (5, 9, 5), 4, [4, 8, 2], [4, 2, 8]),
    # Forward, class 1 has three images for a share of a half: m is 6. Backward, class 2 has four for the whole: m is 4.
    ((10, 3, 4), (3, 2, 1), 4, [6, 3, 1], [1, 2, 4]),
    ((4, 0, 4), (3, 2, 1), 2, [4, 0, 2], [2, 0, 4]),  # shares 1 and 1/2: the class in the middle takes no place
    ((2, 2, 2), (3, 2, 1), 4, [2, 1, 0], [0, 1, 2]),  # half an image is none
    ((5,), (7,), 50, [5], [5]),
    ((0, 0), (2, 1), 2, [0, 0], [0, 0]),
])
def test_counts_by_hand(test_counts: tuple[int, ...], class_counts: tuple[int, ...], ratio: int, forward: list[int],
                        backward: list[int]) -> None:
    assert shifted_counts(test_counts, class_counts, Shift("forward", ratio)).tolist() == forward
    assert shifted_counts(test_counts, class_counts, Shift("backward", ratio)).tolist() == backward


def test_ratio_1_is_the_test_set() -> None:
    assert shifted_counts([7] * 10, DIGITS_LT, Shift("backward", 1)).tolist() == [7] * 10


@pytest.mark.parametrize("ratio", [2, 5, 10, 25, 50])
def test_backward_mirrors_forward(ratio: int) -> None:
    trained = np.random.default_rng(0).permutation(40) + 1  # no ties
    falling = np.argsort(-trained)
    forward, backward = (shifted_counts([50] * 40, trained, Shift(direction, ratio)) for direction in ("forward", "backward"))
    assert forward[falling].tolist() == backward[falling[::-1]].tolist()
    assert (forward.max(), forward.min()) == (50, 50 // ratio)


def test_no_class_is_asked_for_more_than_it_has() -> None:
    generator = np.random.default_rng(1)
    for shift in shifts_of((2, 7, 50)):
        available, trained = generator.integers(0, 30, 60), generator.integers(1, 9, 60)
        counts = shifted_counts(available, trained, shift)
        assert (counts <= available).all() and counts.sum() > 0


def test_counts_of_the_published_lists(data_root: Path) -> None:
    """ImageNet-LT's ten lists: the same numbers, but that classes of one training count take their places in another order."""
    folder = data_root / "lt-lists" / "imagenet_lt"
    if not folder.is_dir():
        pytest.skip("LTBENCH_DATA holds no lt-lists/imagenet_lt")
    with (folder / "imagenet_lt_train_class_counts.csv").open(encoding="utf-8") as stream:
        trained = np.array([int(row["train_count"]) for row in csv.DictReader(stream)])
    totals = {2: 35_574, 5: 24_365, 10: 19_059, 25: 14_437, 50: 12_058}
    for shift in shifts_of(totals):
        lines = (folder / "sade_test_agnostic" / f"ImageNet_LT_{shift}.txt").read_text(encoding="utf-8").splitlines()
        published = np.bincount([int(line.split()[1]) for line in lines], minlength=1000)
        counts = shifted_counts([50] * 1000, trained, shift)
        assert counts.sum() == published.sum() == totals[shift.ratio]
        for count in np.unique(trained):
            assert sorted(counts[trained == count]) == sorted(published[trained == count])


def _slow(ids: list[int], labels: list[int], counts: list[int], seed: int) -> list[bool]:
    chosen: set[int] = set()
    for k, count in enumerate(counts):
        mine = [i for i, label in zip(ids, labels, strict=True) if label == k]
        mine.sort(key=lambda i: float(uniform(derive_seed("label shift", seed), 0, [i], 1)[0, 0]))
        chosen |= set(mine[:count])
    return [i in chosen for i in ids]


@pytest.mark.parametrize("shift", shifts_of((3, 20)))
def test_the_draw_against_a_loop(digits: Parts, shift: Shift) -> None:
    labels = digits.test.labels.numpy()
    ids = np.flatnonzero(np.arange(len(labels)) % 7)  # some images were not evaluated
    counts = shifted_counts(np.bincount(labels[ids], minlength=10), DIGITS_LT, shift)
    for seed in (0, 1):
        members = build_shift(ids, labels[ids], DIGITS_LT, shift, seed)
        assert np.bincount(labels[ids][members], minlength=10).tolist() == counts.tolist()
        assert members.tolist() == _slow(ids.tolist(), labels[ids].tolist(), counts.tolist(), seed)


def test_shifts_of_a_seed_are_nested_and_seeds_differ(digits: Parts) -> None:
    labels = digits.test.labels.numpy()
    ids = np.arange(len(labels))
    small, large, other = (build_shift(ids, labels, DIGITS_LT, Shift("forward", ratio), seed)
                           for ratio, seed in ((50, 0), (2, 0), (2, 1)))
    assert (small <= large).all() and small.sum() < large.sum()
    assert large.sum() == other.sum() and (large != other).any()


def test_the_draw_never_changes(digits: Parts) -> None:
    """A record's hash of a built set must mean the same set in any process, version and machine."""
    labels = digits.test.labels.numpy()
    ids = np.arange(len(labels))
    members = build_shift(ids, labels, DIGITS_LT, Shift("backward", 10), 0)
    assert members.sum() == 199  # 50 + 38 + 29 + 23 + 17 + 13 + 10 + 8 + 6 + 5
    assert split_hash(ids[members]) == "0f9becc2caf9cdb44f3df216abf5768c4b3f18ce289d4bfe285c66c565247e3f"
