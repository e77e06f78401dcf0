from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ltbench.data.arrays import Ints
from ltbench.data.base import Dataset
from ltbench.data.class_folders import open_folder
from ltbench.data.digits import DigitsLT
from ltbench.data.encoded import EncodedImages
from ltbench.data.held_out import hold_out, holding_out
from ltbench.data.longtail import split_hash
from ltbench.data.own_lists import open_list
from ltbench.data.parts import Parts, TensorImages
from ltbench.data.places_lt import PlacesLT
from ltbench.data.published import Published
from ltbench.data.task_data import TaskData, load_parts, load_task_data
from ltbench.running.tuning.validation import trial_data
from ltbench.terms.task import Task
from tests.support.list_factory import write_list
from tests.support.own_images import write_classes

SEEDS = range(8)


def data_of(dataset: Dataset) -> TaskData:
    return load_task_data(dataset, load_parts(dataset, None, download=False), Task(dataset.name, None), None)


def sides(data: TaskData, split_seed: int) -> tuple[Ints, Ints]:
    """Return which training images are trained on, and which are held out."""
    held = holding_out(data, split_seed, None)
    assert held.held_out is not None
    return held.split.indices, held.held_out.split.indices


def twice(root: Path) -> Path:
    """Write six pictures of two classes, each of them twice."""
    write_classes(root, {"a": 6, "b": 6})
    for file in [*root.glob("*/*.png")]:
        shutil.copy(file, file.with_name(f"copy of {file.name}"))
    return root


@pytest.mark.parametrize("split_seed", SEEDS)
def test_no_file_held_out_has_a_copy_among_those_trained_on(tmp_path: Path, split_seed: int) -> None:
    data = data_of(open_folder(str(twice(tmp_path / "pets"))))
    kept, held = sides(data, split_seed)
    train = data.parts.train
    assert isinstance(train, EncodedImages) and (len(train.labels), len(kept), len(held)) == (20, 16, 4)
    known = {train.read(index).tobytes() for index in kept}
    assert not any(train.read(index).tobytes() in known for index in held)
    assert np.bincount(train.labels[held]).tolist() == [2, 2]  # of each class one picture, twice
    # What is tuned and what is held out are the same images, and a stage of other images is not taken for one of these.
    judged, validation = trial_data(data, split_seed, None)
    assert judged.indices.tolist() == kept.tolist() and validation.counts == (2, 2)
    assert holding_out(data, split_seed, None).fingerprint != data.fingerprint


@pytest.mark.parametrize("ratio", [None, 2.0])
def test_without_copies_the_division_is_the_one_it_was(tmp_path: Path, ratio: float | None) -> None:
    dataset = open_folder(str(write_classes(tmp_path / "pets", {"a": 12, "b": 12})))
    data = load_task_data(dataset, load_parts(dataset, None, download=False), Task(dataset.name, ratio), None)
    for split_seed in SEEDS:
        kept, held = hold_out(data.split, split_seed)
        assert [part.tolist() for part in sides(data, split_seed)] == [kept.indices.tolist(), held.tolist()]
    assert holding_out(data, 0, None).fingerprint == data.fingerprint


def test_copies_join_groups(tmp_path: Path) -> None:
    """Two pictures of each class are one group: their copies, which are in none, come with them."""
    data = data_of(open_folder(str(twice(tmp_path / "pets"))))
    train = data.parts.train
    assert isinstance(train, EncodedImages)
    groups = np.arange(20)
    groups[[1, 11]] = groups[[0, 10]]
    with_groups = replace(data, parts=replace(data.parts, train=replace(train, groups=groups)))
    for split_seed in SEEDS:
        kept, held = sides(with_groups, split_seed)
        assert not set(groups[kept]) & set(groups[held])
        assert not {train.read(i).tobytes() for i in kept} & {train.read(i).tobytes() for i in held} and len(held) == 4
    own = replace(data, parts=replace(data.parts, train=replace(train, groups=_pictures(train))))  # which say it already
    kept, held_out = hold_out(data.split, 0, _pictures(train))
    assert [part.tolist() for part in sides(own, 0)] == [kept.indices.tolist(), held_out.tolist()]


def _pictures(train: EncodedImages) -> Ints:
    """Number pictures from the last to the first."""
    known: dict[bytes, int] = {}
    return np.array([known.setdefault(train.read(index).tobytes(), -len(known)) for index in range(len(train.labels))])


def test_a_class_of_one_picture_keeps_all_its_copies(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "pets", {"a": 6, "b": 1})
    shutil.copy(root / "b" / "000.png", root / "b" / "001.png")
    write_classes(tmp_path / "other", {"a": 1, "b": 1})
    lines = {"train": [f"pets/a/{i:03d}.png 0" for i in range(6)] + ["pets/b/000.png 1", "pets/b/001.png 1"],
             "test": ["other/a/000.png 0", "other/b/000.png 1"]}
    for part, listed in lines.items():
        (tmp_path / f"x_{part}.txt").write_text("\n".join(listed))
    data = data_of(open_list(f"{tmp_path}/x_train.txt"))
    for split_seed in SEEDS:
        kept, held = sides(data, split_seed)
        assert {6, 7} <= set(kept.tolist()) and len(held) == 1


def test_pixels_of_a_set_that_nobody_published_stay_on_one_side(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = DigitsLT()
    parts = dataset.load(None)
    first = torch.cat([(parts.train.labels == k).nonzero()[:6, 0] for k in range(10)])
    pixels, labels = parts.train.fetch(first), parts.train.labels[first]
    parts = Parts(TensorImages(torch.cat([pixels, pixels]), torch.cat([labels, labels])), parts.test)
    dataset.max_per_class = 12
    data = load_task_data(dataset, parts, Task("digits-lt", 1.0), None)
    for split_seed in SEEDS:
        kept, held = sides(data, split_seed)
        assert len(kept) == 100 and len(held) == 20 and not set((held % 60).tolist()) & set((kept % 60).tolist())
    # A published set is as it is.
    monkeypatch.setattr(DigitsLT, "published", Published.even(10, train=12, test=50))
    for split_seed in SEEDS:
        kept, held = hold_out(data.split, split_seed)
        assert [part.tolist() for part in sides(data, split_seed)] == [kept.indices.tolist(), held.tolist()]


def test_a_validation_part_of_ones_own_names_its_images(tmp_path: Path) -> None:
    """Three pictures of each class to validate on, then one of them another, then one under another class."""
    root = tmp_path / "pets"
    for part, count in (("train", 4), ("test", 1), ("val", 3)):
        write_classes(root / part, {"a": count, "b": count})

    def told() -> tuple[str, str | None, str | None, str]:
        data = data_of(open_folder(str(root)))
        held, (judged, validation) = holding_out(data, 0, None), trial_data(data, 0, None)
        assert held.held_out is not None and held.split is data.split and judged.fingerprint == data.fingerprint
        assert held.held_out.split.hash == validation.sha256
        return data.split.hash, data.fingerprint, held.fingerprint, validation.sha256

    first = told()
    assert told() == first and first[2] != first[1]
    write_classes(root / "val", {"a": 1}, size=13)
    second = told()
    (root / "val" / "a" / "002.png").rename(root / "val" / "b" / "003.png")
    for older, newer in ((first, second), (second, told())):
        assert older[:2] == newer[:2]  # of a run that does not look at it
        assert older[2] != newer[2] and older[3] != newer[3]


@pytest.mark.parametrize(("counts", "same"), [([20] * 365, True), ([20] * 364 + [19], False)])
def test_a_validation_list_as_published_moves_nothing(tmp_path: Path, counts: list[int], same: bool) -> None:
    for part, held in (("train", [2] * 365), ("test", [1] * 365), ("val", counts)):
        write_list(tmp_path / f"Places_LT_{part}.txt", f"{part}/{{k}}/{{i}}.jpg", held)
    data = load_task_data(PlacesLT(), PlacesLT().load(tmp_path), Task("places-lt", None), None)
    seen = holding_out(data, 0, None)
    assert seen.held_out is not None
    assert (seen.fingerprint == data.fingerprint) is same
    assert (seen.held_out.split.hash == split_hash(seen.held_out.split.indices)) is same
