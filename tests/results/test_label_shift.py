from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
import pytest

from ltbench.data.label_shift import build_shift
from ltbench.results.label_shift import label_shift, recompute
from ltbench.results.predictions import Predictions
from ltbench.terms.shift import parse_shift
from tests.support.record_factory import CLASS_COUNTS, predictions


def some(seed: int = 0) -> tuple[Predictions, list[int]]:
    """Random predictions of 7 classes with 30 images each, some of them not evaluated; about half are right."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(7), 30))
    ids = np.flatnonzero(generator.random(210) < 0.9)
    argmax = np.where(generator.random(210) < 0.5, labels, generator.integers(0, 7, 210))
    figures = np.full(len(ids), 0.5, np.float32), np.full(len(ids), -1, np.float32)
    return Predictions(ids, labels[ids], argmax[ids], *figures), [90, 50, 30, 30, 12, 6, 4]


def test_by_hand() -> None:
    # Three images a class, ratio 3: 3, int(2.08), int(1.44), 1 of the classes in falling order.
    figures = label_shift(predictions(right=(3, 3, 0, 0)), CLASS_COUNTS, (3,), {}, 0)["built"]
    assert list(figures) == ["forward3", "backward3"]
    assert {name: (entry["accuracy"], entry["images"], entry["classes"]) for name, entry in figures.items()} == {
        "forward3": (pytest.approx(100 * 5 / 7), 7, 4), "backward3": (pytest.approx(100 * 2 / 7), 7, 4),
    }
    steep = label_shift(predictions(right=(3, 3, 0, 0)), CLASS_COUNTS, (100,), {}, 0)["built"]["forward100"]
    assert (steep["images"], steep["classes"], steep["accuracy"]) == (3, 1, 100)  # 3 x 100^(-1/3) is below 1: the tail is empty


def test_accuracy_against_a_loop() -> None:
    given, class_counts = some()
    figures = label_shift(given, class_counts, (2, 10), {}, 5)["built"]
    assert len(figures) == 4
    for name, entry in figures.items():
        inside = build_shift(given.ids, given.labels, class_counts, parse_shift(name), 5)
        right, ids = [], []
        for row in range(len(given)):
            if inside[row]:
                right.append(given.labels[row] == given.argmax[row])
                ids.append(int(given.ids[row]))
        assert entry["accuracy"] == 100 * sum(right) / len(right)
        assert (entry["images"], entry["sha256"]) == (len(ids), hashlib.sha256(struct.pack(f"<{len(ids)}q", *ids)).hexdigest())


def test_a_published_set_counts_only_whole() -> None:
    given = predictions(right=(3, 2, 1, 0))
    published = {"forward2": np.array([0, 3, 4, 5, 9]), "backward2": np.array([1, 12])}  # there is no image 12
    figures = label_shift(given, CLASS_COUNTS, (2,), published, 0)
    # Right are image 0, and 3 and 4 of class 1.
    assert {key: figures["published"]["forward2"][key] for key in ("accuracy", "images", "classes")} == {
        "accuracy": 60, "images": 5, "classes": 3,
    }
    assert list(figures["published"]) == ["forward2"] and list(figures["built"]) == ["backward2"]
    assert figures["published"]["forward2"]["members"] == "OQI="  # bits 0, 3, 4, 5 and 9: bytes 0x39, 0x02


def test_what_was_computed_is_recomputed() -> None:
    given, class_counts = some()
    published = {"forward2": given.ids[::3]}
    figures = label_shift(given, class_counts, (2, 5), published, 3)
    assert recompute(figures, given, class_counts, 3) == figures
    other = recompute(figures, given, class_counts, 4)
    assert other["published"] == figures["published"]
    assert all(other["built"][name]["sha256"] != figures["built"][name]["sha256"] for name in figures["built"])


@pytest.mark.parametrize("members", ["OQ==", "OQIA", "O", "a.b="])
def test_members_that_do_not_fit(members: str) -> None:
    given = predictions()
    figures: dict[str, Any] = label_shift(given, CLASS_COUNTS, (2,), {"forward2": np.array([0, 3])}, 0)
    figures["published"]["forward2"]["members"] = members
    assert recompute(figures, given, CLASS_COUNTS, 0)["published"] == {"forward2": None}


def test_without_predictions_there_is_no_figure() -> None:
    empty = Predictions(*(np.zeros(0, np.int64),) * 3, *(np.zeros(0, np.float32),) * 2)
    assert label_shift(empty, CLASS_COUNTS, (2,), {}, 0)["built"]["forward2"]["accuracy"] is None
