from __future__ import annotations

import hashlib
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from ltbench.data.digits import DigitsLT
from ltbench.data.longtail import make_split
from ltbench.data.parts import Parts, TensorImages
from ltbench.errors import UserError


def test_parts_are_all_digits_once(digits: Parts) -> None:
    assert isinstance(digits.train, TensorImages) and isinstance(digits.test, TensorImages)
    original = load_digits()
    pixels = torch.cat([digits.train.pixels, digits.test.pixels])
    labels = torch.cat([digits.train.labels, digits.test.labels])
    assert pixels.shape == (1797, 1, 8, 8)
    assert pixels.max() == 255

    def sorted_rows(values: np.ndarray, classes: np.ndarray) -> list[tuple[int, ...]]:
        return sorted(tuple([*row, k]) for row, k in zip(values.reshape(1797, 64).tolist(), classes.tolist(), strict=True))

    gray = np.rint(pixels.numpy() / 255 * 16).astype(int)  # back to the file's 0 to 16
    assert sorted_rows(gray, labels.numpy()) == sorted_rows(original.images.astype(int), original.target)


def test_test_part_is_balanced_and_fixed(digits: Parts) -> None:
    assert torch.bincount(digits.test.labels).tolist() == [50] * 10
    assert torch.bincount(digits.train.labels).tolist() == [128, 132, 127, 133, 131, 132, 131, 129, 124, 130]
    assert isinstance(digits.test, TensorImages)
    digest = hashlib.sha256(digits.test.pixels.numpy().tobytes()).hexdigest()
    assert digest == "b3994e2ae8ffc9b813df049b89dfacf1e6985f9a9d1748c440e843361d5c9107"


def test_default_counts_have_many_medium_and_few(digits: Parts) -> None:
    counts = make_split(digits.train.labels, 10, DigitsLT.max_per_class, 20.0).class_counts
    assert counts.tolist() == [120, 86, 61, 44, 31, 22, 16, 11, 8, 6]
    assert [(counts > 100).sum(), ((counts >= 20) & (counts <= 100)).sum(), (counts < 20).sum()] == [1, 5, 4]
    assert make_split(digits.train.labels, 10, DigitsLT.max_per_class, 120.0).class_counts[-1] == 1


def test_normalization_constants_are_the_pools(digits: Parts) -> None:
    assert isinstance(digits.train, TensorImages)
    values = digits.train.pixels.double() / 255
    assert abs(float(values.mean()) - DigitsLT.mean[0]) < 1e-4
    assert abs(float(values.std(unbiased=False)) - DigitsLT.std[0]) < 1e-4


def test_protocols() -> None:
    assert {name: protocol.name for name, protocol in DigitsLT.protocols.items()} == {"smoke": "smoke", "quick": "quick",
                                                                                      "common": "common"}
    assert [protocol.epochs for protocol in DigitsLT.protocols.values()] == [2, 16, 60]
    quick = DigitsLT.protocols["quick"]
    assert (quick.schedule, quick.lr, quick.batch_size) == ("one_cycle", 0.1, 32)
    assert all("flip" not in protocol.augmentation for protocol in DigitsLT.protocols.values())


@pytest.mark.parametrize("library", ["not there", "without its table"])
def test_a_broken_library_is_one_line(library: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = None if library == "not there" else ModuleSpec("sklearn", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr("ltbench.data.digits.find_spec", lambda name: found)
    with pytest.raises(UserError, match="scikit-learn.*; `ltbench doctor` says what is installed"):
        DigitsLT().load(None)
