from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from ltbench.data.class_folders import open_folder
from ltbench.data.encoded import ENDINGS
from ltbench.data.files import FileImages
from ltbench.data.parts import Parts
from ltbench.errors import UserError
from tests.support.own_images import write_classes


def names(part: object) -> list[str]:
    assert isinstance(part, FileImages)
    return [os.path.relpath(path, part.paths.folder) for path in part.paths]


def test_without_parts_a_fifth_of_each_class_is_set_apart(tmp_path: Path) -> None:
    dataset = open_folder(str(write_classes(tmp_path / "pets", {"cat": 11, "ant": 2, "Bee": 9})))
    assert dataset.name == "folder:pets"
    assert dataset.class_names == ("Bee", "ant", "cat")  # by their bytes
    parts = dataset.load(None)
    assert torch.bincount(parts.test.labels).tolist() == [1, 1, 2]  # 9 // 5, at least 1, 11 // 5
    assert torch.bincount(parts.train.labels).tolist() == [8, 1, 9]
    assert parts.val is None and dataset.max_per_class == 1
    together = names(parts.train) + names(parts.test)
    assert sorted(together) == sorted([*(f"Bee/{i:03d}.png" for i in range(9)), "ant/000.png", "ant/001.png",
                                       *(f"cat/{i:03d}.png" for i in range(11))])
    again = open_folder(str(tmp_path / "pets")).load(None)
    assert names(again.test) == names(parts.test)


def part_counts(parts: Parts) -> list[int | None]:
    return [None if part is None else len(part.labels) for part in (parts.train, parts.test, parts.val)]


@pytest.mark.parametrize(("folders", "counts"), [
    ({"train": 3, "test": 2}, [6, 4, None]),
    ({"train": 3, "test": 2, "val": 1}, [6, 4, 2]),
    ({"Train": 3, "validation": 2}, [6, 4, None]),
    ({"train": 3, "valid": 1, "TEST": 2}, [6, 4, 2]),
    ({"train": 6}, [10, 2, None]),  # 12 images, one of six set apart in each class
    ({"train": 3, "test": 2, "unlabeled": 5}, [6, 4, None]),
    ({"Training": 3, "testing": 2}, [6, 4, None]),
    ({"training_set": 3, "test_set": 2}, [6, 4, None]),
    ({"Train Set": 3, "Test Set": 2, "validation-data": 1}, [6, 4, 2]),
    ({"train_images": 3, "testset": 2}, [6, 4, None]),
    ({"train": 3, "Test Images": 2}, [6, 4, None]),
])
def test_parts_are_used_as_they_are(tmp_path: Path, folders: dict[str, int], counts: list[int | None]) -> None:
    for name, count in folders.items():
        write_classes(tmp_path / name, {"a": count, "b": count})
    assert part_counts(open_folder(str(tmp_path)).load(None)) == counts


@pytest.mark.parametrize(("folders", "told"), [
    (["train/a", "train/b", "heldout/b"], "'heldout' beside 'train' is not read, .*: a fifth of each class is set apart"),
    (["Training Set/a", "Training Set/b", "val/a", "val/b", "test_v2/a"],
     "'test_v2' beside 'Training Set' is not read, .*: the validation part is tested on"),
    (["train/day", "train/night", "bus/day", "bus/night"], "'bus' beside 'train' is not read, .*"),
    (["train/a", "train/b", "b"], "'b' beside 'train' is not read, .*"),
    (["train/a", "train/b", "test/a", "test/b", "heldout/a"], None),
    (["train/a", "train/b", "test_images", "docs/pages"], None),  # images without classes, and something else
])
def test_what_may_be_a_test_part_and_is_not_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], folders: list[str],
                                                         told: str | None) -> None:
    for folder in folders:
        write_classes(tmp_path / folder, {".": 3})
    open_folder(str(tmp_path))
    err = capsys.readouterr().err
    assert re.fullmatch(f"warning: {told}\n", err) if told else not err


def test_a_part_beside_the_folder_of_the_training_part_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("train/a", "train/b", "test/a", "test/b", "val/a", "photos/a", "photos/b"):
        write_classes(tmp_path / folder, {".": 3})
    open_folder(str(tmp_path / "train"))
    assert capsys.readouterr().err == ("warning: 'test' beside 'train' is not read, for it is another folder: a fifth of each "
                                       "class is set apart\n")
    open_folder(str(tmp_path / "photos"))
    assert capsys.readouterr().err == ""


def test_classes_that_a_person_takes_for_one_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_classes(tmp_path / "pets", {"Cat": 2, "cat": 2, "dog": 2})
    if len(list((tmp_path / "pets").iterdir())) < 3:
        pytest.skip("the file system takes the names for one")
    assert open_folder(str(tmp_path / "pets")).class_names == ("Cat", "cat", "dog")
    assert capsys.readouterr().err.startswith("warning: classes 'Cat' and 'cat' of folder:pets differ in case, ")


@pytest.mark.parametrize(("folders", "told"), [
    (["cat", "dog", "elk", "test/cat", "test/dog", "test/elk"],
     "'test' with folders called like the classes 'cat', 'dog', 'elk'"),
    (["cat", "dog", "test_v2/cat"], "'test_v2' with folders called like the classes 'cat'"),
    (["cat", "dog", "heldout/cat", "heldout/dog", "more/cat", "more/dog"],
     "'heldout' with folders called like the classes 'cat', 'dog'"),
    (["pets_train/cat", "pets_train/dog", "pets_test/cat", "pets_test/dog"],
     "'pets_test' and 'pets_train', which look like parts: they hold 'cat', 'dog'"),
    (["images/cat", "images/dog", "test/cat", "test/dog"], "'test' and 'images', which look like parts: they hold 'cat', 'dog'"),
    (["seg_train/seg_train/cat", "seg_test/seg_test/cat"],
     "'seg_test' and 'seg_train', which look like parts: they hold 'seg_test', 'seg_train'"),
    (["pets/train/cat", "pets/test/cat", "misc"], "'pets/test', 'pets/train'"),
    (["fold_1/cat", "fold_1/dog", "fold_2/cat", "fold_2/dog"],
     "'fold_1', 'fold_2', which look like folds of one set: they hold 'cat', 'dog'"),
])
def test_classes_that_look_like_parts_are_refused(tmp_path: Path, folders: list[str], told: str) -> None:
    for folder in folders:
        write_classes(tmp_path / folder, {".": 3})
    with pytest.raises(UserError) as caught:
        open_folder(str(tmp_path))
    assert str(caught.value) == (f"{str(tmp_path)!r} must hold folders of classes, or of parts called 'train', 'test' or 'val', "
                                 f"got {told}")


@pytest.mark.parametrize("folders", [
    ["oak/indoor", "oak/outdoor", "elm/indoor", "elm/outdoor"],
    ["freight train/day", "freight train/night", "passenger train/day", "passenger train/night"],
    ["test tube/left", "test tube/right", "beaker/left", "beaker/right"],
    ["valid/may", "valid/june", "invalid/may", "invalid/june"],
    ["cat/dog", "cat/elk", "dog/cat", "dog/elk", "elk/cat", "elk/dog"],  # taken for
    ["red", "green", "blue", "mixed/red", "mixed/green"],
    ["cat/cat", "dog/dog"],
    ["part1/left", "part1/right", "part2/left", "part2/up"],
    ["vehicle/train", "vehicle/bus", "animal/cat", "animal/dog"],
])
def test_folders_in_class_folders_are_no_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str], folders: list[str]) -> None:
    for folder in folders:
        write_classes(tmp_path / folder, {".": 3})
    classes = sorted({folder.split("/")[0] for folder in folders})
    assert open_folder(str(tmp_path)).class_names == tuple(classes) and not capsys.readouterr().err


def test_a_class_may_be_called_test_or_train(tmp_path: Path) -> None:
    write_classes(tmp_path / "x", {"test": 2, "tree": 2})
    write_classes(tmp_path / "y", {"test": 2, "train": 2})
    assert open_folder(str(tmp_path / "x")).class_names == ("test", "tree")
    assert open_folder(str(tmp_path / "y")).class_names == ("test", "train")


def test_folders_in_the_folder_of_a_class_are_read_as_torchvision_reads_them(tmp_path: Path) -> None:
    write_classes(tmp_path / "pets", {"a": 5, "a/2019": 3, "a/2019/may": 1, "b/z": 2, "b": 3})
    write_classes(tmp_path / "elsewhere", {"deep": 4})
    (tmp_path / "pets" / "b" / "linked").symlink_to(tmp_path / "elsewhere")
    parts = open_folder(str(tmp_path / "pets")).load(None)
    reference = ImageFolder(str(tmp_path / "pets")).samples
    assert len(reference) == 18 and part_counts(parts) == [16, 2, None]
    wanted = [(os.path.relpath(path, tmp_path / "pets"), label) for path, label in reference]
    found = [list(zip(names(part), part.labels.tolist(), strict=True)) for part in (parts.train, parts.test)]
    assert sorted(found[0] + found[1], key=wanted.index) == wanted
    assert all(part == [entry for entry in wanted if entry in part] for part in found)


def test_a_folder_that_holds_itself_is_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "pets", {"a/x": 2, "b": 2})
    (tmp_path / "pets" / "a" / "x" / "again").symlink_to(tmp_path / "pets" / "a")
    with pytest.raises(UserError, match=r"^'.*/pets/a/x/again' must not be a link to a folder that it lies in$"):
        open_folder(str(tmp_path / "pets"))


def test_copies_of_an_image_stay_in_one_part(tmp_path: Path) -> None:
    """Each image lies there thrice, once under another name in the same folder and once in the folder of another class."""
    write_classes(tmp_path, {"a": 10, "b": 10})
    for name, other in (("a", "b"), ("b", "a")):
        for file in sorted((tmp_path / name).glob("0*.png")):
            shutil.copy(file, file.with_name(f"copy of {file.name}"))
            (tmp_path / other / f"also {name} {file.name}").hardlink_to(file)
    parts = open_folder(str(tmp_path)).load(None)
    assert part_counts(parts) == [48, 12, None]  # 2 of 10 distinct images a class, thrice each
    train, test = ({Path(path).read_bytes() for path in part.paths} for part in (parts.train, parts.test)
                   if isinstance(part, FileImages))
    assert len(train) == 16 and len(test) == 4 and not train & test


def test_a_class_of_copies_has_one_image(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 2, "b": 1})
    shutil.copy(tmp_path / "b" / "000.png", tmp_path / "b" / "001.png")
    with pytest.raises(UserError, match=r"^class 'b' must have at least 2 images, .* to test on, got 2 copies of one$"):
        open_folder(str(tmp_path))


def test_only_images_count(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 2, "b": 2})
    write_classes(tmp_path, {".ipynb_checkpoints": 1, "a/.ipynb_checkpoints": 1})
    (tmp_path / ".cache" / "x").mkdir(parents=True)
    (tmp_path / "labels.csv").touch()
    for name in (".hidden.png", "._a.jpg", "Thumbs.db", "notes.txt", "x.pdf", "noending"):
        (tmp_path / "a" / name).touch()
    (tmp_path / "a" / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "a" / "pipe.jpg")
    for name in ("A.JPG", "b.Jpeg", "c.webp", "d.BMP", "e.tif", "f.TIFF", "g.gif", "h.ppm"):
        (tmp_path / "a" / name).write_bytes(b"")
    (tmp_path / "a" / "z.png").symlink_to(tmp_path / "nowhere")  # is found unreadable later, and not overlooked
    parts = open_folder(str(tmp_path)).load(None)
    found = [name for name in names(parts.train) + names(parts.test) if name.startswith("a/")]
    assert sorted(found) == ["a/000.png", "a/001.png", "a/A.JPG", "a/b.Jpeg", "a/c.webp", "a/d.BMP",
                             "a/e.tif", "a/f.TIFF", "a/g.gif", "a/h.ppm", "a/z.png"]


def test_names_that_are_no_text_survive(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    write_classes(tmp_path, {"a": 2, "b": 2})
    os.rename(root + b"/a", root + b"/caf\xe9")
    os.rename(root + b"/caf\xe9/000.png", root + b"/caf\xe9/\xff.png")
    dataset = open_folder(str(tmp_path))
    assert [os.fsencode(name) for name in dataset.class_names] == [b"b", b"caf\xe9"]
    parts = dataset.load(None)
    assert parts.train.fetch(torch.arange(2)).shape == parts.test.fetch(torch.arange(2)).shape == (2, 3, 224, 224)
    os.rename(root + b"/caf\xe9/\xff.png", root + b"/gone.png")
    with pytest.raises(UserError, match=r"^class 'caf\\udce9' must have at least 2 images, one of them to test on, got 1$"):
        open_folder(str(tmp_path))


def test_names_hold_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_classes(tmp_path / "my photos@2", {"a": 2, "b": 2})
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(root)
    told = {open_folder(path).name for path in (str(root), f"{root}/", "~/my photos@2", ".", "../my photos@2")}
    assert told == {"folder:my-photos-2"}


def test_what_files_hold_tells_sets_apart(tmp_path: Path) -> None:
    first, second, other = (write_classes(tmp_path / where / "x", {"a": 3, "b": 3}, size)
                            for where, size in (("1", 12), ("2", 12), ("3", 9)))
    images = [open_folder(str(root)).images for root in (first, second, other)]
    assert images[0] == images[1] != images[2]
    (second / "a" / "001.png").write_bytes((second / "a" / "002.png").read_bytes())  # of the same size, and read
    assert open_folder(str(second)).images != images[0]


@pytest.mark.parametrize(("made", "message"), [
    ({"a": 2}, "folder:x must have at least 2 classes, got 1"),
    ({}, "folder:x must have at least 2 classes, got 0"),
    ({"a": 2, "b": 1}, "class 'b' must have at least 2 images, one of them to test on, got 1"),
    ({"a": 2, "b": 0}, r"class folder '.*/x/b' must hold images \(.jpg, .*\), got none"),
    ({"train/a": 2, "train/b": 2, "test/a": 1}, "every class of folder:x must have a test image, class 'b' has none"),
    ({"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1, "test/c": 1},
     "'.*/x/test' must hold no class that the training part lacks, got 'c'"),
    ({"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1, "val/c": 1},
     "'.*/x/val' must hold no class that the training part lacks, got 'c'"),
    ({"train/a": 2, "train/b": 0, "test/a": 1, "test/b": 1}, "class folder '.*/x/train/b' must hold images .*, got none"),
    ({"train/a": 2, "train/b": 2, "val/a": 1, "valid/a": 1}, "'.*/x' must have one folder for each of .*, got .*'valid'.*"),
])
def test_refusals(tmp_path: Path, made: dict[str, int], message: str) -> None:
    (tmp_path / "x").mkdir()
    write_classes(tmp_path / "x", made)
    with pytest.raises(UserError, match=f"^{message}$"):
        open_folder(str(tmp_path / "x"))


def test_what_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "none"):
        with pytest.raises(UserError, match=f"^folder: must be followed by the path of a folder, got '{path}'$"):
            open_folder(str(path))

    def refuse(path: bytes) -> object:
        raise PermissionError(13, "Permission denied", path)

    write_classes(tmp_path / "x", {"a": 2, "b": 2})
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=f"^'{tmp_path}/x' cannot be read: Permission denied$"):
        open_folder(str(tmp_path / "x"))


@pytest.mark.parametrize("ending", [ending.decode() for ending in ENDINGS])
def test_every_form_is_read(tmp_path: Path, ending: str) -> None:
    """Pillow itself writes each, and the colors come back as near as the form allows."""
    plain = ending in (".pgm", ".pbm")
    for name, color in (("a", (0, 0, 0)), ("b", (255, 255, 255))):
        (tmp_path / name).mkdir()
        for number in range(2):
            image = Image.new("RGB", (16 + number, 16), color)
            image = image.convert("1" if ending == ".pbm" else "L") if plain else image
            image.save(tmp_path / name / f"{number}{ending.upper()}")
    dataset = open_folder(str(tmp_path)).at_size(8)
    parts = dataset.load(None)
    for part in (parts.train, parts.test):
        assert part.labels.tolist() == [0, 1]
        assert (part.fetch(torch.arange(2)).float().mean(dim=(1, 2, 3)) - torch.tensor([0, 255])).abs().max() < 3
