from __future__ import annotations

from pathlib import Path

import torch

from ltbench.data.files import FileImages
from ltbench.data.inspection.repeats import repeated
from ltbench.data.paths import Paths


def source(names: str, labels: list[int]) -> FileImages:
    return FileImages(Paths(Path("/data"), [name.encode() for name in names]), torch.tensor(labels), 8, 8)


def test_names_that_stand_twice() -> None:
    sources = {"train": source("abcbab", [0, 1, 2, 1, 3, 4]), "test": source("xyc", [0, 1, 2])}
    assert [finding.line for finding in repeated(sources)] == [
        "train: image '/data/b' is listed twice",
        "train: image '/data/a' is listed twice, under classes 0 and 3",
        "train: image '/data/b' is listed twice, under classes 1 and 4",
        "image '/data/c' is listed in train and in test",
    ]


def test_every_name_once_is_fine() -> None:
    assert repeated({"train": source("abc", [0, 1, 2]), "test": source("xyz", [0, 1, 2])}) == []
