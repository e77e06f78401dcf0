"""What methods are told of a task before its training."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

from ltbench.data.files import FileImages
from ltbench.data.paths import Paths
from ltbench.testing.scene import SEED, Scene, installed, task_data


def test_folders_name_the_classes_that_a_dataset_but_numbers(tmp_path: Path) -> None:
    data, words = task_data(), [f"{word} digit" for word in "abcdefghij"]
    numbered = copy.copy(data.dataset)
    numbered.class_names = tuple(f"class {k}" for k in range(10))
    labels = data.parts.train.labels
    paths = Paths(Path("data"), [f"train/{words[k]}/{i}.png".encode() for i, k in enumerate(labels.tolist())])
    scene = Scene(installed())
    plan, _ = scene.last("ce")
    for given, expected in ((data, data.dataset.class_names),
                            (replace(data, dataset=numbered), numbered.class_names),
                            (replace(data, dataset=numbered, parts=replace(data.parts, train=FileImages(paths, labels, 8, 8))),
                             tuple(words))):
        assert scene.runner(tmp_path).build(plan, SEED, given, None).ctx.facts.class_names == expected
