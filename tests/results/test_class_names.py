from __future__ import annotations

from pathlib import Path

import torch

from ltbench.data.cifar import Cifar10LT
from ltbench.data.class_folders import open_folder
from ltbench.data.digits import DigitsLT
from ltbench.data.files import FileImages
from ltbench.data.imagenet_lt import ImageNetLT
from ltbench.data.inat18 import INat18
from ltbench.data.own_lists import open_list
from ltbench.data.parts import TensorImages
from ltbench.data.paths import Paths
from ltbench.registry.discovery import load_registry
from ltbench.results.class_names import class_names, names_of_record
from ltbench.results.records import equal
from ltbench.results.schema import Record
from tests.support.own_images import write_classes
from tests.support.record_factory import model, record

NOTHING = TensorImages(torch.empty(0, 1, 8, 8, dtype=torch.uint8), torch.empty(0, dtype=torch.int64))


def _files(names: list[str], labels: list[int]) -> FileImages:
    return FileImages(Paths(Path("data"), [name.encode() for name in names]), torch.tensor(labels), 224, 256)


class _Three(INat18):
    class_names = ("species 0", "species 1", "species 2")


class _Wordnet(ImageNetLT):
    class_names = ("class 0", "class 1", "class 2")


def test_a_dataset_says_what_its_classes_are_called() -> None:
    assert class_names(Cifar10LT(), NOTHING) == ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
                                                 "truck"]
    assert class_names(DigitsLT(), NOTHING) == list("0123456789")  # a digit is called by its number


def test_folders_of_a_users_own_images(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "pets", {"cat": 3, "d\x1bog": 4})
    dataset = open_folder(str(root))
    assert class_names(dataset, dataset.load(None).train) == ["cat", "d og"]  # a name must not move a terminal's cursor


def test_folders_speak_for_the_numbers_of_a_list(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "pets", {"cat": 4, "dog": 4})
    lines = [f"{name}/{i:03d}.png {label}" for label, name in enumerate(("dog", "cat")) for i in range(4)]
    (root / "mine.txt").write_text("\n".join(lines), encoding="utf-8")
    dataset = open_list(str(root / "mine.txt"))
    assert class_names(dataset, dataset.load(None).train) == ["dog", "cat"]


def test_what_is_common_to_all_folders_is_no_name() -> None:
    labels = [0, 1, 2, 2]
    tree = ["train/Aves/17/a.jpg", "train/Aves/9/b.jpg", "train/Fungi/3/c.jpg", "train/Fungi/3/d.jpg"]
    assert class_names(_Three(), _files(tree, labels)) == ["Aves/17", "Aves/9", "Fungi/3"]
    inner = [f"{name}/images/{i}.jpg" for i, name in enumerate("abcc")]
    assert class_names(_Three(), _files(inner, labels)) == ["a", "b", "c"]


def test_without_a_folder_for_each_class_there_are_numbers_alone() -> None:
    mixed = ["a/1.jpg", "b/2.jpg", "c/3.jpg", "a/4.jpg"]  # of class 2, one image lies beside class 0's
    assert class_names(_Three(), _files(mixed, [0, 1, 2, 2])) is None
    assert class_names(_Three(), _files(["a/1.jpg", "a/2.jpg", "a/3.jpg", "a/4.jpg"], [0, 1, 2, 2])) is None


def test_wordnet_numbers_have_words() -> None:
    numbers = ["n01440764", "n02012849", "n03126707"]  # the second and the third are both called "crane"
    images = _files([f"train/{number}/1.JPEG" for number in numbers], [0, 1, 2])
    assert class_names(_Wordnet(), images) == ["tench", "crane (n02012849)", "crane (n03126707)"]


def test_a_record_of_before_has_the_names_of_its_dataset() -> None:
    registry = load_registry()
    ten = {"split__class_counts": [5] * 10, "split__test_counts": [5] * 10}
    assert names_of_record(model(task__dataset="cifar10-lt", **ten), registry) == Cifar10LT.class_names
    assert names_of_record(model(task__dataset="cifar10-lt"), registry) is None  # of four classes: it is another set
    thousand = {"split__class_counts": [5] * 1000, "split__test_counts": [5] * 1000}
    assert names_of_record(model(task__dataset="imagenet-lt", **thousand), registry) is None  # "class 0" says nothing
    assert names_of_record(model(task__dataset="folder:pets"), registry) is None
    assert names_of_record(model(split__class_names=["a", "b", "c", "d"]), registry) == ["a", "b", "c", "d"]


def test_names_that_one_record_lacks_are_no_difference() -> None:
    before, named = record(), record()
    named["split"] = {**named["split"], "class_names": ["a", "b", "c", "d"]}
    other = record()
    other["split"] = {**other["split"], "class_names": ["a", "b", "c", "e"]}
    first, second, third = map(Record.model_validate, (before, named, other))
    assert equal(first, second) == []
    assert equal(second, third) == ["split.class_names[3]"]
