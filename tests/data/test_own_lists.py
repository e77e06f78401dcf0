from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from ltbench.data.files import FileImages
from ltbench.data.own_lists import open_list
from ltbench.errors import UserError
from tests.support.own_images import write_classes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_classes(tmp_path / "images", {"a": 9, "b": 5})
    return tmp_path


def write(file: Path, counts: dict[str, tuple[int, int]], start: int = 0) -> str:
    """Write a list: class folder -> label, images."""
    lines = [f"images/{name}/{i:03d}.png {label}\n" for name, (label, count) in counts.items()
             for i in range(start, start + count)]
    file.write_text("".join(lines), encoding="utf-8")
    return str(file)


def counts(dataset: object) -> list[list[int] | None]:
    parts = dataset.load(None)  # type: ignore[attr-defined]
    return [None if part is None else torch.bincount(part.labels).tolist() for part in (parts.train, parts.test, parts.val)]


def test_lists_beside_are_found_by_name(folder: Path) -> None:
    train = write(folder / "pets_train.txt", {"a": (1, 4), "b": (0, 3)})
    dataset = open_list(train)
    assert (dataset.name, dataset.class_names, dataset.max_per_class) == ("list:pets_train", ("0", "1"), 2)
    assert counts(dataset) == [[2, 3], [1, 1], None]  # a fifth, at least one
    write(folder / "pets_val.txt", {"a": (1, 2), "b": (0, 1)}, start=4)
    assert counts(open_list(train)) == [[3, 4], [1, 2], None]
    write(folder / "pets_test.txt", {"a": (1, 1), "b": (0, 1)}, start=3)
    assert counts(open_list(train)) == [[3, 4], [1, 1], [1, 2]]
    parts = open_list(train).load(None)
    assert isinstance(parts.train, FileImages) and parts.train.paths[0] == str(folder / "images/a/000.png")
    assert parts.train.fetch(torch.tensor([0])).shape == (1, 3, 224, 224)


@pytest.mark.parametrize(("train", "test"), [
    ("Train.txt", "Test.txt"), ("TRAIN.TXT", "test.txt"), ("train_list.txt", "test_list.txt"), ("train2018.csv", "val2018.csv"),
    ("training.txt", "testing.txt"), ("training_set.lst", "test_set.lst"), ("train-part-of-train.txt", "test-part-of-test.txt"),
    ("training_set_train.txt", "training_set_validation.txt"), ("train.txt", "Valid.txt"),
    ("my_trn.txt", "my_tst.txt"), ("train.txt", "dev.txt"), ("train.txt", "eval.txt"),
])
def test_usual_names_are_understood(folder: Path, train: str, test: str) -> None:
    file = write(folder / train, {"a": (1, 4), "b": (0, 3)})
    write(folder / test, {"a": (1, 2), "b": (0, 1)}, start=4)
    assert counts(open_list(file)) == [[3, 4], [1, 2], None]


def test_two_lists_that_could_be_meant_are_refused(folder: Path) -> None:
    file = write(folder / "x_train.txt", {"a": (1, 4), "b": (0, 3)})
    for name in ("x_Test.txt", "x_testing.txt"):
        write(folder / name, {"a": (1, 2), "b": (0, 1)}, start=4)
    with pytest.raises(UserError, match=r"^'.*/x_train.txt' must have one list of the test part beside it, got 'x_Test.txt' and "
                                        r"'x_testing.txt'$"):
        open_list(file)


def test_an_image_that_a_list_repeats_counts_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "images/a/000.png 0\nimages/a/001.png 0\nimages/b/000.png 1\nimages/b/001.png 1\n"
    (folder / "link").symlink_to("images")
    (folder / "all.txt").write_text(f"{lines}./images/b/../a/000.png 0\nlink//b/001.png 1\n", encoding="utf-8")
    parts = open_list(str(folder / "all.txt")).load(None)
    assert isinstance(parts.train, FileImages) and isinstance(parts.test, FileImages)
    assert len(parts.train.labels) == len(parts.test.labels) == 2 and not set(parts.train.paths) & set(parts.test.paths)
    said = capsys.readouterr().err
    assert re.fullmatch("warning: list:all names images again, 2 in all, the first '.*a/000.png': each counts once\n", said)


def test_an_image_that_is_tested_on_counts_once(folder: Path) -> None:
    file = write(folder / "x_train.txt", {"a": (1, 4), "b": (0, 3)})
    test = Path(write(folder / "x_test.txt", {"a": (1, 2), "b": (0, 1)}, start=4))
    test.write_text(test.read_text(encoding="utf-8") + "images/a/004.png 1\n" * 20, encoding="utf-8")
    assert counts(open_list(file)) == [[3, 4], [1, 2], None]


@pytest.mark.parametrize("other", ["./images/a/000.png", "images//a/000.png", "images/b/../a/000.png", "link/a/000.png"])
def test_two_labels_under_two_spellings_are_refused(other: str, folder: Path) -> None:
    (folder / "link").symlink_to("images")
    file = write(folder / "all.txt", {"a": (0, 4), "b": (1, 3)})
    Path(file).write_text(f"{Path(file).read_text(encoding='utf-8')}{other} 1\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"^image '.*/images/a/000.png' of list:all must have one label, got '0' and, as "
                                        rf"'.*/{re.escape(other)}', '1'$"):
        open_list(file)


@pytest.mark.parametrize(("train", "test", "warned"), [
    ("train_full.txt", "test.txt", True), ("imgs_train_2020.txt", "imgs_test.txt", True), ("train.txt", "test.csv", True),
    ("all.lst", "val.txt", True), ("trainlist01.txt", "testlist1.txt", True), ("trainset.txt", "testset2.txt", True),
    ("data.txt", "testdata.txt", True), ("train.txt", "tests.txt", True), ("train.data", "val_data.data", True),
    ("train.txt", "valley.txt", False), ("train.txt", "test_notes.md", False), ("train.txt", "latest.txt", False),
    ("train.txt", "contest.txt", False),
    ("train.txt", ".test.txt", False), ("train.txt", "test.md", False),
])
def test_a_test_list_that_is_not_read_is_named(train: str, test: str, warned: bool, folder: Path,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    file = write(folder / train, {"a": (1, 5), "b": (0, 4)})
    write(folder / test, {"a": (1, 2), "b": (0, 1)}, start=4)
    assert counts(open_list(file)) == [[3, 4], [1, 1], None]
    said = (f"warning: {test!r} beside {train!r} is not read, for their names differ in more than a word: a fifth of each class "
            "is set apart\n")
    assert capsys.readouterr().err == (said if warned else "")


def test_a_test_list_that_is_not_read_is_named_where_the_validation_list_is_tested_on(
        folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(folder / "train.txt", {"a": (1, 5), "b": (0, 4)})
    write(folder / "val.txt", {"a": (1, 2), "b": (0, 1)}, start=5)
    write(folder / "val_old.txt", {"a": (1, 2), "b": (0, 1)}, start=5)
    assert counts(open_list(file)) == [[4, 5], [1, 2], None] and capsys.readouterr().err == ""
    write(folder / "test_list.txt", {"a": (1, 2), "b": (0, 1)}, start=7)
    assert counts(open_list(file)) == [[4, 5], [1, 2], None]
    assert capsys.readouterr().err == ("warning: 'test_list.txt' beside 'train.txt' is not read, for their names differ in more "
                                       "than a word: the validation part is tested on\n")
    Path(file).rename(folder / "test_train.txt")
    (folder / "val.txt").rename(folder / "test_val.txt")  # which is read, whatever else its name says
    (folder / "test_list.txt").unlink()
    assert counts(open_list(str(folder / "test_train.txt"))) == [[4, 5], [1, 2], None] and capsys.readouterr().err == ""


def test_a_list_of_that_name_in_a_folder_of_another_part_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("train", "test", "latest"):
        (folder / part).mkdir()
        (folder / part / "images").symlink_to(folder / "images")
    file = write(folder / "train" / "list.txt", {"a": (0, 5), "b": (1, 4)})
    write(folder / "test" / "list.txt", {"a": (0, 1), "b": (1, 1)}, start=6)
    assert counts(open_list(file)) == [[4, 3], [1, 1], None]
    assert capsys.readouterr().err.startswith("warning: 'test/list.txt' beside 'list.txt' is not read, ")


@pytest.mark.parametrize("name", ["pets_test.txt.gz", "pets_test.zip", "pets_test.xlsx"])
def test_a_test_list_of_a_form_that_is_not_read_is_named(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "pets_train.txt", {"a": (0, 9), "b": (1, 5)})
    (folder / name).write_bytes(b"")
    open_list(str(folder / "pets_train.txt"))
    assert capsys.readouterr().err.startswith(f"warning: {name!r} beside 'pets_train.txt' is not read, for ")


def test_a_link_to_a_test_list_that_is_not_there_is_refused(folder: Path) -> None:
    write(folder / "pets_train.txt", {"a": (0, 9), "b": (1, 5)})
    (folder / "pets_test.txt").symlink_to(folder / "nowhere")
    with pytest.raises(UserError, match=r"^'.*/pets_test.txt' cannot be read: No such file or directory$"):
        open_list(str(folder / "pets_train.txt"))


def test_a_list_of_another_name_is_cut(folder: Path) -> None:
    write(folder / "pets_test.txt", {"a": (1, 1), "b": (0, 1)})
    assert counts(open_list(write(folder / "pets.lst", {"a": (0, 9), "b": (1, 5)}))) == [[8, 4], [1, 1], None]


@pytest.mark.parametrize(("train", "test", "message"), [
    ({"a": (0, 3), "b": (2, 3)}, {}, "'.*x_train.txt' must list an image of every label from 0 to 2, got none of 1"),
    ({"a": (1, 3), "b": (2, 3)}, {}, "'.*x_train.txt' must list an image of every label from 0 to 2, got none of 0"),
    ({"a": (0, 3), "b": (10**9, 3)}, {}, "'.*x_train.txt' must list an image of every label from 0 to 1000000000, got none of 1"),
    ({"a": (0, 3), "b": (2**31 - 1, 3)}, {}, "line 4 of '.*x_train.txt' must have a label from 0 to 2147483646, got 2147483647"),
    ({"a": (0, 3)}, {}, "list:x_train must have at least 2 classes, got 1"),
    ({"a": (0, 3), "b": (1, 1)}, {}, "class '1' must have at least 2 images, one of them to test on, got 1"),
    ({"a": (0, 3), "b": (1, 1)}, {"a": (0, 1), "b": (2, 1)}, "line 2 of '.*x_test.txt' must have a label from 0 to 1, got 2"),
    ({"a": (0, 3), "b": (1, 1)}, {"a": (0, 1)}, "every class of list:x_train must have a test image, class '1' has none"),
])
def test_refusals(folder: Path, train: dict[str, tuple[int, int]], test: dict[str, tuple[int, int]], message: str) -> None:
    file = write(folder / "x_train.txt", train)
    if test:
        write(folder / "x_test.txt", test)
    with pytest.raises(UserError, match=f"^{message}$"):
        open_list(file)


def test_what_is_no_list(folder: Path) -> None:
    with pytest.raises(UserError, match="^'.*/none.txt' cannot be read: No such file or directory$"):
        open_list(str(folder / "none.txt"))
    (folder / "x.txt").write_text("a.png zero\n", encoding="utf-8")
    with pytest.raises(UserError, match="^line 1 of '.*/x.txt' must read 'path label', got 'a.png zero'$"):
        open_list(str(folder / "x.txt"))
