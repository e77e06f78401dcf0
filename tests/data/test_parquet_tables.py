from __future__ import annotations

from pathlib import Path

import pyarrow
import pytest
import torch
from pyarrow import parquet

from ltbench.data.own_tables import open_parquet
from ltbench.errors import UserError
from tests.support.own_images import write_classes

IMAGES = [(f"{name}/{number:03d}.png", name) for name, count in (("a", 9), ("b", 5)) for number in range(count)]
TRAIN, TEST, VAL = [2, 3, 4, 5, 6, 7, 8, 10, 11], [0, 9], [1, 12, 13]


def write(file: Path, rows: list[int], **more: list[object]) -> Path:
    """Write the table of some images, which lie in the folder of the set."""
    file.parent.mkdir(parents=True, exist_ok=True)
    paths, labels = zip(*(IMAGES[row] for row in rows), strict=True)
    parquet.write_table(pyarrow.table({"path": list(paths), "label": list(labels), **more}), file)
    return file


def counts(folder: Path) -> list[list[int] | None]:
    parts = open_parquet(str(folder)).load(None)
    return [None if part is None else torch.bincount(part.labels).tolist() for part in (parts.train, parts.test, parts.val)]


@pytest.mark.parametrize(("names", "wanted"), [
    (["train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001", "validation-00000-of-00001"],
     [[7, 2], [1, 1], [1, 2]]),
    (["data/train-0", "data/train-1", "data/test-0", "data/val-0"], [[7, 2], [1, 1], [1, 2]]),
    (["Train/0", "Train/more/1", "Test Images/0", "dev/0"], [[7, 2], [1, 1], [1, 2]]),
    (["split=train/0", "split=train/1", "split=test/0", "split=val/0"], [[7, 2], [1, 1], [1, 2]]),  # a column that folders tell
    (["pets_train_a", "pets_train_b", "pets_val_a", "pets_val_b"], [[7, 2], [2, 3], None]),
    (["0", "1", "2", "3"], [[8, 4], [1, 1], None]),  # all are trained on but a fifth
])
def test_files_of_a_folder_are_the_parts_that_their_names_tell(tmp_path: Path, names: list[str],
                                                               wanted: list[list[int] | None]) -> None:
    write_classes(tmp_path, {"a": 9, "b": 5})
    for name, rows in zip(names, (TRAIN[:4], TRAIN[4:], TEST, VAL), strict=True):
        write(tmp_path / f"{name}.parquet", rows)
    for other in ("README.md", "_test.parquet", ".cache/test.parquet"):  # none of them is a table
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).touch()
    assert counts(tmp_path) == wanted


def test_some_files_alone_that_name_a_part_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "more.parquet", TEST)
    write(tmp_path / "train-0.parquet", TRAIN)
    with pytest.raises(UserError, match=r"^'.*' must hold files whose names all say train, test or val, or none, got "
                                        r"'train-0.parquet' and 'more.parquet'$"):
        open_parquet(str(tmp_path))


@pytest.mark.parametrize(("names", "said"), [
    (("test-0", "test-1"), ""), (("test-0", "val-0"), ""),
    (("invalid-1", "valid-0"), "warning: 'valid-0.parquet' in '{}' is trained on like 'invalid-1.parquet', for no file's name "
                               "says 'train'\n")])
def test_where_no_name_says_train_names_tell_nothing(tmp_path: Path, names: tuple[str, str], said: str,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    write_classes(tmp_path, {"a": 9, "b": 5})
    for name, rows in zip(names, (TRAIN, [*TEST, *VAL]), strict=True):
        write(tmp_path / f"{name}.parquet", rows)
    assert counts(tmp_path) == [[8, 4], [1, 1], None]
    assert capsys.readouterr().err == said.format(tmp_path.name)


def test_folders_that_are_links_and_folders_called_like_files(tmp_path: Path) -> None:
    """Spark writes a folder for a table."""
    write_classes(tmp_path / "set", {"a": 9, "b": 5})
    write(tmp_path / "set" / "train.parquet" / "part-0.parquet", TRAIN[:4])
    write(tmp_path / "elsewhere" / "part-1.parquet", TRAIN[4:])
    (tmp_path / "set" / "train").symlink_to(tmp_path / "elsewhere")
    write(tmp_path / "set" / "test.parquet" / "part-0.parquet", TEST)
    (tmp_path / "set" / "test.parquet" / "_SUCCESS").touch()
    assert counts(tmp_path / "set") == [[7, 2], [1, 1], None]
    (tmp_path / "elsewhere" / "again").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"^'.*/train/again' must not be a link to a folder that it lies in$"):
        open_parquet(str(tmp_path / "set"))


@pytest.mark.parametrize("name", ["part-1", "test/part-1.pq"])
def test_a_table_of_no_ending_beside_others_is_told(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    write_classes(tmp_path, {"a": 9, "b": 5})
    write(tmp_path / "0.parquet", TRAIN)
    write(tmp_path / "part-1.parquet", TEST)
    (tmp_path / "part-1.parquet").rename(tmp_path / name)
    (tmp_path / "LICENSE").write_text("No table.")
    assert counts(tmp_path) == [[6, 1], [1, 1], None]
    assert capsys.readouterr().err == (f"warning: {name!r} in {tmp_path.name!r} is not read, for its name does not end with "
                                       ".parquet\n")


def test_a_column_that_the_first_file_lacks_is_read(tmp_path: Path) -> None:
    """The files in their order: the test part's comes first, and has no groups; a wrong row is named in its own file."""
    write(tmp_path / "test.parquet", TEST)
    write(tmp_path / "train.parquet", TRAIN, group=["one"] * 4 + [None] * 5)
    groups = open_parquet(str(tmp_path)).load(None).train.groups  # type: ignore[attr-defined]
    assert len(set(groups.tolist())) == 6 and len(set(groups[:4].tolist())) == 1
    write(tmp_path / "train.parquet", TRAIN, split=["train"] * 4 + ["?"] * 5)
    with pytest.raises(UserError, match=r"^row 0 of '.*test.parquet' must have a split, got ''$"):
        open_parquet(str(tmp_path))


def test_another_folder_beside_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part, rows in (("train", TRAIN), ("test", TEST), ("tests", TEST)):
        write(tmp_path / part / "0.parquet", rows)
    write_classes(tmp_path / "train", {"a": 9, "b": 5})
    (tmp_path / "train").rename(tmp_path / "training")
    assert counts(tmp_path / "training") == [[6, 1], [1, 1], None]
    assert capsys.readouterr().err == ("warning: 'test' beside 'training' is not read, for it is another folder: a fifth of each "
                                       "class is set apart\n")
    for before, name in (("training", "photos"), ("photos", "restrained"), ("restrained", "trainees")):
        (tmp_path / before).rename(tmp_path / name)
        assert counts(tmp_path / name) == [[6, 1], [1, 1], None] and capsys.readouterr().err == ""


@pytest.mark.parametrize(("values", "told"), [([b"a", b"b"], "b'a'"), ([["a"], ["b"]], r"\['a'\]"), ([{"k": 1}] * 2, "{'k': 1}")])
def test_what_is_no_text_is_no_class(tmp_path: Path, values: list[object], told: str) -> None:
    parquet.write_table(pyarrow.table({"path": ["1.png", "2.png"], "label": values}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=f"^row 0 of '.*/x.parquet' must have a label that is text or a number, got {told}$"):
        open_parquet(str(tmp_path / "x.parquet"))
