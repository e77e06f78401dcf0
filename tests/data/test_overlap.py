from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from ltbench.cli.main import main
from ltbench.data.base import Dataset
from ltbench.data.class_folders import open_folder
from ltbench.data.overlap import refuse_shared, refuse_trained
from ltbench.data.own_lists import open_list
from ltbench.data.own_tars import open_tar
from ltbench.data.parts import Parts, TensorImages
from ltbench.data.published import Published
from ltbench.data.task_data import load_parts
from ltbench.errors import UserError
from tests.support.own_images import write_classes
from tests.support.tiny import Tiny, write_tiny


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A set in folders with three parts of four images a class, and lists of the same images."""
    for part in ("train", "test", "val"):
        write_classes(tmp_path / "pets" / part, {"a": 4, "b": 4})
        (tmp_path / "pets" / f"x_{part}.txt").write_text("".join(
            f"{part}/{name}/{i:03d}.png {k}\n" for k, name in enumerate("ab") for i in range(4)), encoding="utf-8")
    return tmp_path / "pets"


def load(dataset: Dataset, root: Path | None = None, *, planning: bool = False) -> Parts:
    parts = load_parts(dataset, root, download=False)
    refuse_shared(dataset, parts, planning=planning)
    return parts


def refusal(dataset: Dataset, *, planning: bool = False) -> str:
    with pytest.raises(UserError) as caught:
        load(dataset, planning=planning)
    return str(caught.value)


def test_parts_that_differ_are_taken(pets: Path) -> None:
    for dataset in (open_folder(str(pets)), open_list(f"{pets}/x_train.txt")):
        parts = load(dataset)
        assert len(parts.train.labels) == len(parts.test.labels) == 8 and parts.val is not None


def test_lists_that_share_lines_are_refused(pets: Path) -> None:
    shutil.copy(pets / "x_train.txt", pets / "x_test.txt")
    expected = (f"list:x_train must not be tested on images of its training part: 8 of the 8 test images are in both, the first "
                f"'{pets}/train/a/000.png' (as '{pets}/train/a/000.png'); 'ltbench data check' names them all")
    assert refusal(open_list(f"{pets}/x_train.txt")) == expected
    assert refusal(open_list(f"{pets}/x_train.txt"), planning=True) == expected
    (pets / "x_test.txt").write_text("train/../train/a/001.png 0\ntest/b/001.png 1\n", encoding="utf-8")
    assert "training part: 1 of the 2 test images" in refusal(open_list(f"{pets}/x_train.txt"), planning=True)


@pytest.mark.parametrize("how", ["copy", "hard link", "link", "linked folder"])
def test_another_name_for_an_image_does_not_hide_it(pets: Path, how: str) -> None:
    there, here = pets / "train" / "a" / "002.png", pets / "test" / "b" / "new.png"
    if how == "copy":
        shutil.copy(there, here)
    elif how == "hard link":
        here.hardlink_to(there)
    elif how == "link":
        here.symlink_to(there)
    else:
        shutil.rmtree(pets / "test" / "a")
        (pets / "test" / "a").symlink_to(pets / "train" / "a")
    told = refusal(open_folder(str(pets)))
    count, first = ("4 of the 8", "a/000.png") if how == "linked folder" else ("1 of the 9", "b/new.png")
    assert f"training part: {count} test images are in both, the first '{pets}/test/{first}' (as '{pets}/train/a/" in told
    if how == "linked folder":
        assert told == refusal(open_folder(str(pets)), planning=True)
    else:
        load(open_folder(str(pets)), planning=True)  # no image is opened


def test_what_is_chosen_by_is_not_tested_on_either(pets: Path) -> None:
    shutil.rmtree(pets / "val")
    (pets / "val").symlink_to(pets / "test")
    assert "tested on images of its validation part: 8 of the 8 test images" in refusal(open_folder(str(pets)))


def test_what_is_chosen_by_is_not_trained_on_either(pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["--dataset", f"folder:{pets}", "--protocol", "smoke", "--backbone", "digits", "--cpu", "--out", f"{tmp_path}/out"]
    refuse_trained(open_folder(str(pets)), load(open_folder(str(pets))))
    shutil.copy(pets / "train" / "a" / "001.png", pets / "val" / "a" / "new.png")
    dataset = open_folder(str(pets))
    parts = load(dataset)  # a run that looks at no validation image takes the set
    told = ("folder:pets must not be validated on images of its training part: 1 of the 9 validation images are in both, the "
            f"first '{pets}/val/a/new.png' (as '{pets}/train/a/001.png'); 'ltbench data check' names them all")
    for arguments in (["run", "--methods", "ce", "--hold-out"], ["tune", "la", "--trials", "1"]):
        assert main([*arguments, *typed]) == 2
        assert capsys.readouterr().err == f"ltbench: {told}\n"
    dataset.official = True
    refuse_trained(dataset, parts)
    warned = capsys.readouterr().err
    assert warned.startswith("warning: folder:pets was published with images in its validation part and its training part: 1 of")


def test_shards_that_share_an_image_are_refused(pets: Path) -> None:
    import tarfile

    for part in ("train", "test"):
        with tarfile.open(pets / f"{part}.tar", "w") as tar:
            tar.add(pets / part, arcname=".")
            if part == "test":
                tar.add(pets / "train" / "b" / "003.png", arcname="a/003 again.png")
    assert (f"1 of the 9 test images are in both, the first '{pets}/test.tar/a/003 again.png' (as '{pets}/train.tar/b/003.png')"
            in refusal(open_tar(f"{pets}/t*.tar")))


def test_published_lists_are_compared_by_name_and_not_read(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path)
    shutil.copy(folder / "train" / "3.jpg", folder / "test" / "5.jpg")  # the authors' own duplicate, if it is one
    load(Tiny(), tmp_path)
    with (folder / "test.txt").open("a") as stream:
        stream.write("train/3.jpg 0\n")
    with pytest.raises(UserError, match=r"^tiny must .*training part: 1 of the 7 test images are in both, the first '.*/3.jpg'"):
        load(Tiny(), tmp_path)
    shutil.rmtree(folder / "train")
    os.symlink("test", folder / "train")
    (folder / "test.txt").write_text("test/0.jpg 0\ntest/1.jpg 1\ntest/2.jpg 2\n")
    with pytest.raises(UserError, match=r": 3 of the 3 test images .*, the first '.*/test/0.jpg' \(as '.*/train/0.jpg'\)"):
        load(Tiny(), tmp_path)


def test_images_in_memory_are_compared_where_nobody_published_them() -> None:
    pixels = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).repeat(1, 3, 2, 2)
    parts = Parts(TensorImages(pixels[:4], torch.tensor([0, 0, 1, 1])), TensorImages(pixels[[4, 2, 5]], torch.tensor([0, 1, 2])))
    dataset = Tiny()
    refuse_shared(dataset, parts)
    dataset.published = None  # type: ignore[misc]  # of the instance
    with pytest.raises(UserError, match=r"training part: 1 of the 3 test images are in both, the first image 1 \(as image 2\); "):
        refuse_shared(dataset, parts)
    assert Tiny.published is not None and isinstance(Tiny.published, Published)


def test_the_whole_of_it_in_a_shell(pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(pets / "x_train.txt", pets / "x_test.txt")
    assert main(["run", "--dataset", f"list:{pets}/x_train.txt", "--methods", "ce", "--protocol", "smoke", "--backbone", "digits",
                 "--cpu", "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("ltbench: list:x_train must not be tested on images of its training part") and told.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert main(["data", "check", f"list:{pets}/x_train.txt"]) == 1
    assert "is listed in train and in test" in capsys.readouterr().out
