from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import torch

from ltbench.data.cifar_variants import Cifar10, Cifar20LT, Cifar100
from ltbench.data.longtail import long_tailed_counts
from ltbench.data.parts import Parts, TensorImages
from ltbench.data.task_data import load_task_data
from ltbench.terms.task import Task


def test_superclasses_of_the_official_files(cifar100: Parts, cifar100_root: Path) -> None:
    with (cifar100_root / "cifar-100-python" / "meta").open("rb") as file:
        assert tuple(pickle.load(file)["coarse_label_names"]) == Cifar20LT.class_names
    parts = Cifar20LT().load(cifar100_root)
    assert isinstance(parts.train, TensorImages) and isinstance(cifar100.train, TensorImages)
    assert torch.equal(parts.train.pixels[:100], cifar100.train.pixels[:100])
    assert torch.bincount(parts.train.labels).tolist() == [2500] * 20
    assert torch.bincount(parts.test.labels).tolist() == [500] * 20
    # A fine class lies in one superclass whole, and each superclass holds five.
    pairs = torch.stack([parts.train.labels, cifar100.train.labels]).unique(dim=1)
    assert torch.bincount(pairs[0]).tolist() == [5] * 20 and pairs.shape[1] == 100


def test_counts_of_twenty_classes_by_hand() -> None:
    counts = long_tailed_counts(20, Cifar20LT.max_per_class, 100)
    # 2500 * 100 ** (-k / 19): the first ones 1961.9, 1539.6, the last 31.85 and 25.
    assert counts[:3] == [2500, 1961, 1539] and counts[-2] == 31 and counts[-1] in (24, 25)  # 25 less a rounding error


def test_balanced_sets_use_every_image() -> None:
    for dataset, per_class in ((Cifar10(), 5000), (Cifar100(), 500)):
        assert long_tailed_counts(dataset.num_classes, per_class, 1.0) == [per_class] * dataset.num_classes
        assert dataset.max_per_class == per_class


def test_balanced_split(cifar100: Parts) -> None:
    data = load_task_data(Cifar100(), cifar100, Task("cifar100", 1.0), None)
    assert data.class_counts.tolist() == [500] * 100
    assert np.array_equal(np.sort(data.split.indices), np.arange(50_000))
