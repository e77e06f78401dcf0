from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from ltbench.data.imagenet_lt import ImageNetLT
from ltbench.data.inspection.compare import compare
from ltbench.data.published import Published, Totals, counts_digest
from tests.support.tiny import Tiny


@pytest.fixture(scope="module")
def true_counts(data_root: Path) -> list[int]:
    """Return ImageNet-LT's training images of each class, or skip."""
    file = data_root / "lt-lists" / "imagenet_lt" / "imagenet_lt_train_class_counts.csv"
    if not file.is_file():
        pytest.skip("LTBENCH_DATA holds no class counts of ImageNet-LT")
    with file.open(encoding="utf-8") as stream:
        return [int(row["train_count"]) for row in csv.DictReader(stream)]


def lines(counts: list[int]) -> list[str]:
    return [finding.line for finding in compare({"train": np.array(counts)}, ImageNetLT())]


def test_imagenet_lts_true_counts_are_the_published_ones(true_counts: list[int]) -> None:
    assert lines(true_counts) == []
    assert Totals.of(true_counts) == Totals(115_846, 1280, 5, many=385, medium=479, few=136)


def test_one_image_less_or_elsewhere_is_noticed(true_counts: list[int]) -> None:
    def changed(**by: int) -> list[str]:
        counts = list(true_counts)
        for images, step in by.items():  # such as n20=-1: one less in the first class that has 20 images
            counts[true_counts.index(int(images[1:]))] += step
        return lines(counts)

    assert changed(n516=-1) == ["train: images must be 115,846, got 115,845 (-1)"]
    smallest = true_counts.index(5)
    assert changed(n5=-1, n516=1) == [f"train: the smallest class must have 5 images, got 4 (class {smallest})"]
    assert changed(n20=-1, n516=1) == ["train: many / medium / few classes must be 385 / 479 / 136, got 385 / 478 / 137"]
    moved = changed(n516=-1, n352=1)
    assert len(moved) == 1 and "every total is as published, but some class has not its published number" in moved[0]


def test_true_counts_are_compared_class_by_class() -> None:
    def found(**counts: list[int]) -> list[str]:
        return [finding.line for finding in compare({name: np.array(images) for name, images in counts.items()}, Tiny())]

    assert found(train=[5, 2, 1], val=[1, 1, 1], test=[2, 2, 2]) == []
    assert found(train=[5, 2, 0]) == ["train: images must be 8, got 7: class 2 (two) must have 1 and has 0"]
    assert found(test=[3, 1, 2]) == ["test: 6 images as published, but class 0 (zero) must have 2 and has 3, "
                                     "class 1 (one) must have 2 and has 1"]


def test_made_up_counts_agree_with_what_is_stated() -> None:
    stated = Totals(1000, 300, 3, many=3, medium=5, few=4)
    published = Published.natural(stated, test=7, val=2)
    assert Totals.of(published.train) == stated
    assert (published.test, published.val, published.stated) == ((7,) * 12, (2,) * 12, stated)


def test_the_digest_is_of_the_order_too() -> None:
    # sha256 of 1 and 2 as eight little-endian bytes each.
    assert counts_digest([1, 2]).startswith("0c730b69")
    assert counts_digest([1, 2]) != counts_digest([2, 1])
