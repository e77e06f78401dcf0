from __future__ import annotations

import os
from pathlib import Path

import pyarrow
import pytest
import torch
from pyarrow import parquet

from ltbench.cli.main import main
from ltbench.data.class_folders import open_folder
from ltbench.data.files import FileImages
from ltbench.data.own import OwnImages
from ltbench.data.own_tables import open_csv, open_parquet
from ltbench.errors import UserError
from tests.support.own_images import write_classes
from tests.support.source_factory import digits, write_csv, write_pngs


def names(part: object) -> list[str]:
    assert isinstance(part, FileImages)
    return [os.path.relpath(path, part.paths.folder) for path in part.paths]


def counts(dataset: OwnImages) -> list[list[int] | None]:
    parts = dataset.load(None)
    return [None if part is None else torch.bincount(part.labels).tolist() for part in (parts.train, parts.test, parts.val)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_classes(tmp_path / "images", {"a": 9, "b": 5})
    return tmp_path


def rows(a: int = 9, b: int = 5) -> list[list[object]]:
    return [[f"images/{name}/{number:03d}.png", name] for name, count in (("a", a), ("b", b)) for number in range(count)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_names_of_classes_and_split_are_read(folder: Path, delimiter: str) -> None:
    table = [[*row, "more", ("TRAIN", "test", "Validation")[number % 3]] for number, row in enumerate(rows())]
    dataset = open_csv(str(write_csv(folder / "pets.csv", ["File_Name", "Label", "x", "Split"], table, delimiter)))
    assert (dataset.name, dataset.class_names) == ("csv:pets", ("a", "b"))
    assert counts(dataset) == [[3, 2], [3, 2], [3, 1]]
    assert names(dataset.load(None).test) == [row[0] for number, row in enumerate(rows()) if number % 3 == 1]


def test_a_table_and_folders_of_the_same_images_are_cut_alike(folder: Path) -> None:
    """The carved part depends on labels and contents alone."""
    table, folders = open_csv(str(write_csv(folder / "x.csv", ["path", "label"], rows()))), open_folder(str(folder / "images"))
    assert [name.removeprefix("images/") for name in names(table.load(None).test)] == names(folders.load(None).test)
    assert counts(table) == [[8, 4], [1, 1], None]


def test_other_names_are_another_set_where_no_folder_tells_them(folder: Path) -> None:
    """Methods that read names, such as those of word vectors, train otherwise for it."""
    def images(*named: str) -> str | None:
        table = [[path, dict(zip("ab", named, strict=True))[str(label)]] for path, label in rows()]
        return open_csv(str(write_csv(folder / "x.csv", ["path", "label"], table))).images

    told = {names: images(*names) for names in (("a", "b"), ("cat", "dgo"), ("cat", "dog"), ("0", "1"))}
    assert images("cat", "dog") == told["cat", "dog"]
    assert told["a", "b"] == told["0", "1"]  # the folders' names, which paths hold, and numbers
    assert len(set(told.values())) == 3


def test_numbers_are_numbers(folder: Path) -> None:
    table = [[path, {"a": "01", "b": 0}[label]] for path, label in rows()]  # type: ignore[index]
    dataset = open_csv(str(write_csv(folder / "x.csv", ["path", "label"], table)))
    assert dataset.class_names == ("0", "1") and counts(dataset) == [[4, 8], [1, 1], None]


def test_images_of_one_group_stay_together(tmp_path: Path) -> None:
    pixels, labels = digits(300)
    files = write_pngs(tmp_path / "i", pixels)
    table = [[f"i/{file}", label, f"writer {number // 30}"]
             for number, (file, label) in enumerate(zip(files, labels, strict=True))]
    dataset = open_csv(str(write_csv(tmp_path / "x.csv", ["path", "label", "group"], table)))
    parts = dataset.load(None)
    writers = [{int(Path(name).stem) // 30 for name in names(part)} for part in (parts.train, parts.test)]
    assert not writers[0] & writers[1] and writers[0] | writers[1] == set(range(10)) and len(writers[1]) in (1, 2)
    assert torch.bincount(parts.test.labels).min() >= 1
    again = open_csv(str(tmp_path / "x.csv"))
    assert again.images == dataset.images and names(again.load(None).test) == names(parts.test)
    for row in table:  # other groups are another set, even where the same images are tested on
        row[2] = f"{row[2]}{int(Path(str(row[0])).stem) % 2}" if int(str(row[2])[-1]) not in writers[1] else row[2]
    other = open_csv(str(write_csv(tmp_path / "x.csv", ["path", "label", "group"], table)))
    assert other.images != dataset.images


def test_a_row_without_a_group_is_alone(folder: Path) -> None:
    table = [[*row, "burst" if number < 6 else ""] for number, row in enumerate(rows())]
    dataset = open_csv(str(write_csv(folder / "x.csv", ["path", "label", "group"], table)))
    assert counts(dataset) == [[8, 4], [1, 1], None] and "images/a/000.png" not in names(dataset.load(None).test)


def test_a_group_that_is_a_number_is_one_however_it_is_written(folder: Path) -> None:
    """pandas writes 1.0 where a cell of the column is empty; who has no group is alone."""
    table = [[*row, "1.0" if number < 3 else "1" if number < 6 else ""] for number, row in enumerate(rows())]
    parts = open_csv(str(write_csv(folder / "x.csv", ["path", "label", "group"], table))).load(None)
    groups = dict(zip(names(parts.train), parts.train.groups.tolist(), strict=True))  # type: ignore[attr-defined]
    assert len({groups[f"images/a/00{number}.png"] for number in range(6)}) == 1
    write_csv(folder / "train.csv", ["path", "label", "group"], [row for row in table[1:-1] if row[2] != "1.0"])
    write_csv(folder / "test.csv", ["path", "label", "group"], [table[0], table[-1]])
    with pytest.raises(UserError, match="^images of one group must be in one part, got '1' in train and test$"):
        open_csv(str(folder / "train.csv"))


def test_a_path_needs_no_locale(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under C the system's encoding is ASCII, and a table is UTF-8."""
    (folder / "images/a/000.png").rename(folder / "images/a/caf\xe9.png")
    first = [["images/a/caf\xe9.png", "caf\xe9"], ["images/a/001.png", "caf\xe9"]]
    table = write_csv(folder / "x.csv", ["path", "label"], [*first, *rows()[2:]])
    encode = os.fsencode
    monkeypatch.setattr(os, "fsencode", lambda text: text if isinstance(text, bytes) else encode(str(text).encode("ascii")))
    dataset = open_csv(str(table))
    monkeypatch.undo()
    assert dataset.class_names == ("a", "b", "caf\xe9") and counts(dataset) == [[6, 4, 1], [1, 1, 1], None]


def test_quotes_and_marks_of_other_programs(folder: Path) -> None:
    (folder / "images" / "a, b.png").write_bytes((folder / "images/a/000.png").read_bytes())
    text = '\ufeffpath,label\r\n"images/a, b.png",a\r\nimages\\a\\001.png,a\r\n\r\nimages/b/000.png,b\r\nimages/b/001.png,b\r\n'
    (folder / "x.csv").write_bytes(text.encode())
    parts = open_csv(str(folder / "x.csv")).load(None)
    assert sorted(names(parts.train) + names(parts.test)) == ["images/a, b.png", "images/a/001.png", "images/b/000.png",
                                                              "images/b/001.png"]


@pytest.mark.parametrize("family", ["csv", "parquet"])
@pytest.mark.parametrize(("column", "values", "refused"), [
    ("set", ("train", "test"), True), ("Data Set", ("Training", "validation"), True), ("is_test", ("0", "1"), True),
    ("is_test", ("True", "False"), True), ("set", ("train", "train"), False), ("train", ("0", "1"), False),
    ("vehicle", ("train", "bus"), False)])
def test_a_column_of_another_name_that_tells_the_parts_is_refused(column: str, values: tuple[str, str], refused: bool,
                                                                  family: str, folder: Path) -> None:
    """What it says is for testing would be trained on."""
    header = ["path", "label", column]
    table = [[*row[:2], values[number % 2]] for number, row in enumerate(rows())]
    if family == "csv":
        file, reader = write_csv(folder / "mine.csv", header, table), open_csv
    else:
        file, reader = folder / "mine.parquet", open_parquet
        parquet.write_table(pyarrow.table(dict(zip(header, map(list, zip(*table, strict=True)), strict=True))), file)
    if not refused:
        assert counts(reader(str(file)))[2] is None
        return
    with pytest.raises(UserError, match=f"^{str(file)!r} must tell the parts in a column called 'split', got {column!r}, "):
        reader(str(file))


@pytest.mark.parametrize("family", ["csv", "parquet"])
def test_a_table_of_another_part_beside_is_read(family: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def write(name: str, header: list[str], table: list[list[object]]) -> Path:
        if family == "csv":
            return write_csv(folder / f"{name}.csv", header, table)
        columns = dict(zip(header, map(list, zip(*table, strict=True)), strict=True))
        parquet.write_table(pyarrow.table(columns), folder / f"{name}.parquet")
        return folder / f"{name}.parquet"

    table = rows()
    reader = {"csv": open_csv, "parquet": open_parquet}[family]
    train = write("mine_train", ["path", "label"], table[2:-1])
    write("mine_test", ["label", "image", "group"], [["a", table[0][0], "camera 1"], ["a", table[1][0], ""],
                                                     ["b", table[-1][0], "camera 1"]])
    dataset = reader(str(train))
    assert counts(dataset) == [[7, 4], [2, 1], None] and dataset.class_names == ("a", "b")
    assert capsys.readouterr().err == ""
    write("mine_train", ["path", "label", "split"], [[*row, "train"] for row in table[2:-1]])  # which says where a test part is
    assert counts(reader(str(train))) == [[6, 3], [1, 1], None]
    assert f"warning: 'mine_test.{family}' beside 'mine_train.{family}' is not read, " in capsys.readouterr().err
    divided = [[*row, ("train", "val")[number % 2]] for number, row in enumerate(table[2:-1])]
    write("mine_train", ["path", "label", "split"], divided)
    assert counts(reader(str(train))) == [[4, 2], [3, 2], None]
    assert capsys.readouterr().err == (f"warning: 'mine_test.{family}' beside 'mine_train.{family}' is not read, for "
                                       f"'mine_train.{family}' tells the parts itself: the validation part is tested on\n")


@pytest.mark.parametrize("form", ["csv", "parquet", "folder"])
@pytest.mark.parametrize("others", [("test",), ("test", "val")])
def test_a_table_beside_without_classes_is_left_alone(form: str, others: tuple[str, ...], folder: Path,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    """Kaggle gives no classes of the images to test on; a table of other columns may have some under another name."""
    table, ending = rows(), "csv" if form == "csv" else "parquet"
    reader = open_csv if form == "csv" else open_parquet

    def write(name: str, columns: dict[str, list[object]]) -> Path:
        file = folder / f"{name}.{ending}"
        if form == "csv":
            return write_csv(file, list(columns), zip(*columns.values(), strict=True))
        parquet.write_table(pyarrow.table(columns), file)
        return file

    train = write("train", {"path": [path for path, *_ in table], "label": [label for _, label, *_ in table]})
    asked = str(folder if form == "folder" else train)
    alone = reader(asked)
    assert capsys.readouterr().err == ""
    if "val" in others:
        write("val", {"path": [table[0][0], table[-1][0]], "label": ["a", "b"]})
        write("train", {"path": [path for path, *_ in table[1:-1]], "label": [label for _, label, *_ in table[1:-1]]})
    write("test", {"id": [1], "path": ["images/none.png"]})
    dataset = reader(asked)
    tested = "the validation part is tested on" if "val" in others else "a fifth of each class is set apart"
    assert capsys.readouterr().err == (f"warning: 'test.{ending}' beside 'train.{ending}' is not read, for it has no column "
                                       f"'label': {tested}\n")
    assert counts(dataset) == [[8, 4], [1, 1], None] if "val" in others else dataset.images == alone.images
    write("test", {"photo": ["images/none.png"], "species": ["a"]})
    if form != "folder":  # where the columns of all files are one table's
        with pytest.raises(UserError, match=rf"^'.*/test.{ending}' must name its columns, .*, got 'photo', 'species'$"):
            reader(asked)


def test_a_wrong_row_of_a_table_beside_is_named(folder: Path) -> None:
    train = write_csv(folder / "train.csv", ["path", "label"], rows()[2:-1])
    write_csv(folder / "test.csv", ["path", "label"], [["images/a/000.png", "c"]])
    with pytest.raises(UserError, match=r"^line 2 of '.*/test.csv' must be of a class that is trained on, got 'c'$"):
        open_csv(str(train))


def test_parquet_is_the_same_table(folder: Path) -> None:
    table = [[*row, "train" if number % 3 else "test"] for number, row in enumerate(rows())]
    columns = dict(zip(("path", "class", "split"), map(list, zip(*table, strict=True)), strict=True))
    parquet.write_table(pyarrow.table({"id": list(range(14)), **columns}), folder / "pets.parquet")
    dataset = open_parquet(str(folder / "pets.parquet"))
    same = open_csv(str(write_csv(folder / "pets.csv", ["path", "label", "split"], table)))
    assert (dataset.name, dataset.images, dataset.class_names) == ("parquet:pets", same.images, ("a", "b"))
    numbers = pyarrow.array([None if number == 3 else float(label == "b") for number, (_, label, _) in enumerate(table)])
    parquet.write_table(pyarrow.table({"path": columns["path"], "label": numbers}), folder / "gap.parquet")
    with pytest.raises(UserError, match=r"^row 3 of '.*/gap.parquet' must have a label, got ''$"):
        open_parquet(str(folder / "gap.parquet"))
    parquet.write_table(pyarrow.table({"image": [b"x"], "label": [0]}), folder / "within.parquet")
    with pytest.raises(UserError, match=r"^'.*/within.parquet' holds images themselves, which hf: reads: --dataset hf:within"):
        open_parquet(str(folder / "within.parquet"))
    (folder / "broken.parquet").write_bytes(b"PAR1 and no more")
    for file in ("broken.parquet", "none.parquet"):
        with pytest.raises(UserError, match=f"^'.*/{file}' cannot be read: "):
            open_parquet(str(folder / file))


HEAD = "path,label,split,group"
GOOD = ["images/a/000.png,a,train,1", "images/a/001.png,a,test,2", "images/b/000.png,b,train,3", "images/b/001.png,b,test,4"]


@pytest.mark.parametrize(("lines", "message"), [
    ([], r"'.*/x.csv' must name its columns, a path \(path, file, .*\) and a label \(label, class, .*\) among them, got "),
    (["images/a/000.png,a"], r"'.*/x.csv' must name its columns, .* got 'images/a/000.png', 'a'"),
    ([HEAD], "'.*/x.csv' lists no image"),
    (["path,label,Label", "images/a/000.png,a,b"], "'.*/x.csv' must have one column 'label', got 2"),
    ([HEAD, *GOOD, "images/b/002.png,b,train"], "line 6 of '.*/x.csv' must have 4 values, as the first line has names, got 3"),
    ([HEAD, *GOOD, "images/b/002.png,b,out,5"], "line 6 of '.*/x.csv' must have a split of train, .*, dev, got 'out'"),
    ([HEAD, *GOOD, "images/b/002.png,b,,5"], "line 6 of '.*/x.csv' must have a split, got ''"),
    ([HEAD, *GOOD, "images/b/002.png,,train,5"], "line 6 of '.*/x.csv' must have a label, got ''"),
    ([HEAD, *GOOD, ",b,train,5"], "line 6 of '.*/x.csv' must have a path, got ''"),
    ([HEAD, *GOOD, "images/b/002.png,c,test,5"], "line 6 of '.*/x.csv' must be of a class that is trained on, got 'c'"),
    ([HEAD, *GOOD, "images/b/002.png,b,test,1"], "images of one group must be in one part, got '1' in train and test"),
    ([HEAD, *GOOD, "images/a/002.png,a,val,5", "images/b/002.png,b,val,3"],
     "images of one group must be in one part, got '3' in train and val"),
    ([HEAD, *GOOD, "images/b/002.png,b,val,4"], "images of one group must be in one part, got '4' in test and val"),
    (["path,label,split", "1.png,00,train", "2.png,01,train", "3.png,cat,test"],
     "line 4 of '.*/x.csv' must be of a class that is trained on, got 'cat'"),
    ([HEAD, *GOOD, "images/b/000.png,a,test,5"], "image 'images/b/000.png' of '.*/x.csv' must have one label, got b and a"),
    ([HEAD, *(line.replace("train", "test") for line in GOOD)], "'.*/x.csv' must have rows of the split 'train', got test alone"),
    ([HEAD, *GOOD, '"images/b/002.png,b,train,5'], "line 6 of '.*/x.csv' cannot be read: .*"),
    (["path,label", "images/a/000.png,0", "images/b/000.png,2"],
     "csv:x must have a training image of every class from 0 to 2, got none of 1"),
    (["path,label,group", *(f"images/a/00{n}.png,a,1" for n in range(3)), *(f"images/b/00{n}.png,b,{n}" for n in range(3))],
     "class 'a' must have a group to test on that leaves images of every class to train on, got 1 in all"),
])
def test_refusals(folder: Path, lines: list[str], message: str) -> None:
    (folder / "x.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=f"^{message}$") as caught:
        open_csv(str(folder / "x.csv"))
    assert "\n" not in str(caught.value)


def test_an_image_on_both_sides_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "images/a/copy.png").write_bytes((folder / "images/a/000.png").read_bytes())
    write_csv(folder / "x.csv", ["path", "label", "split"],
              [*([*row, "train"] for row in rows()), ["images/a/copy.png", "a", "test"], ["images/b/000.png", "b", "test"]])
    (folder / "images/b/000.png").unlink()
    assert main(["run", "--dataset", f"csv:{folder}/x.csv", "--methods", "ce", "--protocol", "smoke", "--image-size", "32",
                 "--backbone", "resnet20", "--seeds", "0", "--cpu", "--out", str(folder / "runs")]) == 2
    said = capsys.readouterr().err
    assert "csv:x must not be tested on images of its training part: 2 of the 2 test images are in both" in said


def test_photos_by_a_table_train_and_what_is_broken_is_left_out(data_root: Path, tmp_path: Path,
                                                                capsys: pytest.CaptureFixture[str]) -> None:
    """Real photos in their own folder, named by a table elsewhere, of which one has no file and one is cut."""
    chosen = [(file, kind) for kind in ("dress", "hat", "pants")
              for file in sorted((data_root / "clothing/train" / kind).iterdir())[:8]]
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(chosen[0][0].read_bytes()[:2000])
    write_csv(tmp_path / "shop.csv", ["path", "label", "split"],
              [*([str(file), kind, "test" if number % 4 == 3 else "train"] for number, (file, kind) in enumerate(chosen)),
               ["cut.jpg", "hat", "train"], ["gone.jpg", "hat", "test"]])
    code = main(["run", "--dataset", f"csv:{tmp_path}/shop.csv", "--methods", "ce", "--protocol", "smoke", "--image-size", "32",
                 "--backbone", "resnet20", "--seeds", "0", "--cpu", "--out", str(tmp_path / "runs"), "--unreadable", "skip"])
    said = capsys.readouterr().err
    assert code == 0 and "csv:shop: 1 of 19 train images cannot be read and are left out: 'cut.jpg'" in said
    assert "csv:shop: 1 of 7 test images cannot be read and are left out: 'gone.jpg'" in said
    (record,) = (tmp_path / "runs").glob("csv-shop*.json")
    assert str(tmp_path) not in record.read_text()
