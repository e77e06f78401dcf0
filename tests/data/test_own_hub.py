from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ltbench.cli.main import main
from ltbench.data.class_folders import open_folder
from ltbench.data.files import FileImages
from ltbench.data.hub_images import HubImages
from ltbench.data.naming import dataset_of_record
from ltbench.data.own_hub import open_hub
from ltbench.data.own_tars import open_tar
from ltbench.errors import MissingData, UserError
from ltbench.registry.discovery import load_registry
from tests.support.own_images import write_classes
from tests.support.source_factory import digits, write_csv, write_hub_parquet, write_pngs

datasets = pytest.importorskip("datasets")
NAMES = [f"digit {k}" for k in range(10)]
pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the first 300 digits as the hub does, four fifths of them to train on."""
    folder = tmp_path_factory.mktemp("hub") / "digits"
    pixels, labels = digits(300)
    kinds = {"label": datasets.ClassLabel(names=NAMES), "odd": datasets.ClassLabel(names=["even", "odd"]),
             "writer": datasets.Value("int64")}
    for part, rows in (("train", [row for row in range(300) if row % 5]), ("test", list(range(0, 300, 5)))):
        columns = {"label": [labels[row] for row in rows], "odd": [labels[row] % 2 for row in rows],
                   "writer": [row // 30 for row in rows]}
        write_hub_parquet(folder / "data" / f"{part}-00000-of-00001.parquet", pixels[rows], columns, kinds)
    return folder


def counts(part: Any) -> list[int]:
    return torch.bincount(part.labels).tolist()


def test_parquet_of_the_hub_is_read_where_it_lies(stored: Path) -> None:
    dataset = open_hub(str(stored))
    parts = dataset.load(None)
    assert (dataset.name, dataset.class_names) == ("hf:digits", tuple(NAMES))
    assert (len(parts.train.labels), len(parts.test.labels)) == (240, 60)
    assert not dataset.official  # it is the user's own file
    pixels, labels = digits(300)
    assert isinstance(parts.test, HubImages) and parts.test.labels.tolist() == labels[::5]
    small = open_hub(str(stored)).at_size(24)
    small.resized = 24
    shown = small.load(None).test.fetch(torch.arange(60))  # PNG keeps every pixel
    assert np.array_equal(shown[:, 0].numpy(), pixels[::5])
    some = parts.test.take(torch.tensor([7, 2]))
    assert some.labels.tolist() == [labels[35], labels[10]] and np.array_equal(some.read(1), parts.test.read(2))
    again = pickle.loads(pickle.dumps(some))  # as a worker gets it
    assert np.array_equal(again.read(0), some.read(0)) and again.state() == some.state()


@pytest.mark.parametrize(("options", "classes", "trained"), [
    ("(label=odd)", ("even", "odd"), 240), ("(train=test,label=odd)", ("even", "odd"), 49)])
def test_options_say_what_is_meant(stored: Path, options: str, classes: tuple[str, ...], trained: int) -> None:
    dataset = open_hub(f"{stored}{options}")
    assert dataset.class_names == classes and len(dataset.load(None).train.labels) == trained


@pytest.fixture
def alone(stored: Path, tmp_path: Path) -> Path:
    """Return the training part's file without the test part's beside it."""
    return Path(shutil.copy(stored / "data" / "train-00000-of-00001.parquet", tmp_path / "alone.parquet"))


def test_a_file_alone_is_cut_and_groups_hold(alone: Path) -> None:
    file = alone
    parts = open_hub(f"{file}(group=writer)").load(None)
    assert isinstance(parts.train, HubImages) and isinstance(parts.test, HubImages)
    assert parts.train.groups is not None and parts.test.groups is not None
    assert not set(parts.train.groups.tolist()) & set(parts.test.groups.tolist())
    assert min(counts(parts.test)) >= 1
    plain = open_hub(str(file))
    assert counts(plain.load(None).test) == [max(1, count // 5) for count in counts(datasets_labels(file))]


def test_a_file_of_another_part_beside_is_read(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(shutil.copy(stored / "data" / f"{part}-00000-of-00001.parquet", tmp_path / f"{part}.parquet"))
             for part in ("train", "test")]
    parts = open_hub(files[0]).load(None)
    assert (len(parts.train.labels), len(parts.test.labels)) == (240, 60)
    (tmp_path / "test.parquet").rename(tmp_path / "valid.parquet")
    shutil.copy(tmp_path / "valid.parquet", tmp_path / "test_more.parquet")
    parts = open_hub(files[0]).load(None)
    assert (len(parts.train.labels), len(parts.test.labels), parts.val) == (240, 60, None)
    assert capsys.readouterr().err == ("warning: 'test_more.parquet' beside 'train.parquet' is not read, for their names differ "
                                       "in more than a word: the validation part is tested on\n")


def test_files_that_the_library_does_not_tell_apart(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    train, test = (folder / f"{part}set.parquet" for part in ("train", "test"))
    for part, file in (("train", train), ("test", test)):
        shutil.copy(stored / "data" / f"{part}-00000-of-00001.parquet", file)
    with pytest.raises(UserError, match=r"^'.*/digits' must hold files called 'train', 'test' or 'validation', which the library "
                                        r"datasets tells apart, got 'testset.parquet', which it takes for training$"):
        open_hub(str(folder))
    train.rename(folder / "train.parquet")
    assert len(open_hub(str(folder)).load(None).train.labels) < 240
    assert capsys.readouterr().err == ("warning: 'testset.parquet' in 'digits' is not read, for the library datasets knows no "
                                       "split by its name\n")


def test_a_file_beside_that_cannot_be_used_is_told(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kaggle gives no classes of the images to test on; what may have some is refused."""
    train = shutil.copy(stored / "data" / "train-00000-of-00001.parquet", tmp_path / "train.parquet")
    alone = open_hub(str(train))
    file = write_hub_parquet(tmp_path / "test.parquet", digits(9)[0], {"id": list(range(9))}, {"id": datasets.Value("int64")})
    capsys.readouterr()  # the library's own progress
    assert open_hub(str(train)).images == alone.images
    assert capsys.readouterr().err == ("warning: 'test.parquet' beside 'train.parquet' is not read, for it has no column "
                                       "'label': a fifth of each class is set apart\n")
    with pytest.raises(UserError, match="^the test part of hf:train must have a column 'label', got image, id$"):
        open_hub(f"{train}(test=test)")
    write_hub_parquet(file, digits(9)[0], {"class": list(range(9))}, {"class": datasets.Value("int64")})
    with pytest.raises(UserError, match="^the test part of hf:train must have a column 'label', got image, class$"):
        open_hub(str(train))
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match=r"^'.*/test.parquet' cannot be read \(\w+: .*\)$"):
        open_hub(str(train))


def test_folders_of_images_that_the_library_does_not_tell_apart(tmp_path: Path) -> None:
    for part in ("trainset", "testset"):
        write_classes(tmp_path / "pets" / part, {"a": 3, "b": 3})
    with pytest.raises(UserError, match=r"^'.*/pets' must hold folders called 'train', 'test' or 'validation', which the library "
                                        r"datasets tells apart, got 'testset', which it takes for training; folder: knows more "
                                        r"names$"):
        open_hub(str(tmp_path / "pets"))


@pytest.mark.parametrize(("other", "said"), [("testset", True), ("Test", True), ("heldout", True), ("docs", False),
                                             ("test_images", False)])
def test_a_folder_that_the_library_leaves_out_is_told(tmp_path: Path, other: str, said: bool,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    write_classes(tmp_path / "pets" / "train", {"a": 5, "b": 5})
    if other == "docs":
        (tmp_path / "pets" / other).mkdir()
        (tmp_path / "pets" / other / "notes.txt").write_text("nothing to see")
    else:
        write_classes(tmp_path / "pets" / other, {"a": 1, "b": 1})
    parts = open_hub(str(tmp_path / "pets")).load(None)
    assert (len(parts.train.labels), len(parts.test.labels)) == ((10, 2) if other == "test_images" else (8, 2))
    assert capsys.readouterr().err == (f"warning: {other!r} in 'pets' is not read, for the library datasets knows no split by "
                                       "its name\n" if said else "")


def test_a_column_that_tells_the_parts_is_refused(tmp_path: Path) -> None:
    """What it says is for testing would be trained on."""
    pixels, labels = digits(60)
    columns = {"label": labels, "split": [("train", "test")[row % 5 == 0] for row in range(60)]}
    kinds = {"label": datasets.Value("int64"), "split": datasets.Value("string")}
    file = write_hub_parquet(tmp_path / "all.parquet", pixels, columns, kinds)
    with pytest.raises(UserError, match=r"^hf:all must have its parts as splits, got a column 'split' that looks like parts"):
        open_hub(str(file))
    write_hub_parquet(file, pixels, {**columns, "split": ["train"] * 60}, kinds)
    assert len(open_hub(str(file)).load(None).train.labels) > 40


def test_a_link_to_a_part_that_is_not_there_is_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"a": 3, "b": 3})
    (tmp_path / "test").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"^'.*/test' cannot be read: it is a link to what is not there$"):
        open_hub(str(tmp_path))


def test_classes_with_zeros_before_them_are_numbers(tmp_path: Path) -> None:
    pixels, labels = digits(60)
    file = write_hub_parquet(tmp_path / "x.parquet", pixels, {"label": [f"{label:02d}" for label in labels]},
                             {"label": datasets.Value("string")})
    dataset = open_hub(str(file))
    assert dataset.class_names == tuple(map(str, range(10)))


def datasets_labels(file: Path) -> Any:
    import pyarrow.parquet

    class Held:
        labels = torch.tensor(pyarrow.parquet.read_table(file, columns=["label"]).column(0).to_pylist())

    return Held


def test_an_image_folder_with_metadata_keeps_its_files(tmp_path: Path) -> None:
    pixels, labels = digits(100)
    files = write_pngs(tmp_path / "pets" / "train", pixels)
    write_csv(tmp_path / "pets" / "train" / "metadata.csv", ["file_name", "label"],
              [(file, NAMES[label]) for file, label in zip(files, labels, strict=True)])
    dataset = open_hub(str(tmp_path / "pets"))
    parts = dataset.load(None)
    assert isinstance(parts.train, FileImages) and isinstance(parts.test, FileImages)
    assert dataset.class_names == tuple(NAMES)
    found = {os.path.relpath(path, tmp_path / "pets"): NAMES[label] for part in (parts.train, parts.test)
             for path, label in zip(part.paths, part.labels.tolist(), strict=True)}
    assert found == {f"train/{file}": NAMES[label] for file, label in zip(files, labels, strict=True)}


def test_photos_in_folders_are_what_folder_reads(data_root: Path, tmp_path: Path) -> None:
    for folder in ("train/dress", "train/hat", "test/dress", "test/hat", "val/dress", "val/hat"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for file in sorted((data_root / "clothing" / folder).iterdir())[:8]:
            (tmp_path / "photos" / folder / file.name).write_bytes(file.read_bytes())
    theirs, ours = open_hub(str(tmp_path / "photos")), open_folder(str(tmp_path / "photos"))
    assert theirs.class_names == ours.class_names
    for part in ("train", "test", "val"):
        read, wanted = getattr(theirs.load(None), part), getattr(ours.load(None), part)
        pairs = [sorted(zip(one.paths, one.labels.tolist(), strict=True)) for one in (read, wanted)]
        assert pairs[0] == pairs[1]


def test_what_was_saved_to_disk(tmp_path: Path, alone: Path) -> None:
    table = datasets.Dataset.from_parquet(str(alone), cache_dir=str(tmp_path / "c"))
    table.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=table, extra=table).save_to_disk(tmp_path / "two")
    one, two = (open_hub(str(tmp_path / name)) for name in ("one", "two"))
    assert one.images == two.images == open_hub(str(alone)).images


def test_the_hub_is_left_alone_without_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    before = datasets.config.HF_HUB_OFFLINE
    with pytest.raises(MissingData, match=r"^hf:somebody/pets is not in the cache of the library datasets: add --download \("):
        open_hub("somebody/pets")
    assert datasets.config.HF_HUB_OFFLINE == before
    assert main(["data", "stats", "hf:somebody/pets"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("ltbench: hf:somebody/pets is not in the cache of the library datasets: add --download")


def test_a_set_of_the_hub_is_found_in_the_cache_and_by_its_record(stored: Path, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache as the library leaves it, made of files here under the name that the hub would have given it."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    builder = datasets.load_dataset_builder(str(stored), cache_dir=str(tmp_path))
    builder.download_and_prepare()
    made = Path(builder.cache_dir)
    kept = tmp_path / "somebody___digits" / "default" / made.parent.name / made.name
    kept.parent.mkdir(parents=True)
    made.rename(kept)
    info = json.loads((kept / "dataset_info.json").read_text())
    (kept / "dataset_info.json").write_text(json.dumps(info | {"config_name": "default"}))
    dataset = open_hub("somebody/digits")
    here = open_hub(str(stored))  # whose small images are each read for its digest, for they may be changed
    assert (dataset.name, dataset.official, dataset.class_names) == ("hf:somebody/digits", True, here.class_names)
    found, same = (one.load(None).train for one in (dataset, here))
    assert [bytes(found.read(index)) for index in range(len(found.labels))] == [bytes(same.read(index)) for index in
                                                                               range(len(same.labels))]
    assert found.labels.equal(same.labels)
    assert dataset_of_record("hf:somebody/digits", load_registry(strict=False)).images == dataset.images


def fetches(member: str, *options: object) -> None:
    assert not datasets.config.HF_HUB_OFFLINE
    raise ConnectionError("no route to host")


def test_download_lets_the_library_ask_and_fails_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", fetches)
    with pytest.raises(UserError, match=r"^hf:somebody/pets cannot be downloaded \(ConnectionError: no route to host\)$"):
        open_hub("somebody/pets", download=True)


def test_a_pack_of_it_is_read_as_tars(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "pack", f"hf:{stored}", "--out", str(tmp_path / "digits.tars")]) == 0
    assert capsys.readouterr().out.endswith(f"next: ltbench run --dataset tar:{tmp_path}/digits.tars\n")
    packed, parts = open_tar(str(tmp_path / "digits.tars")).load(None), open_hub(str(stored)).load(None)
    for mine, theirs in ((packed.train, parts.train), (packed.test, parts.test)):
        assert torch.equal(mine.labels, theirs.labels)
        assert torch.equal(mine.fetch(torch.arange(5)), theirs.fetch(torch.arange(5)))


def test_it_is_checked_and_trained_on_like_any_other(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_WORKERS", "0")
    assert main(["data", "check", f"hf:{stored}", "--full"]) == 0
    assert capsys.readouterr().out.endswith("\nsound\n")
    assert main(["run", "--dataset", f"hf:{stored}@5", "--methods", "ce", "--protocol", "smoke", "--image-size", "24",
                 "--backbone", "resnet20", "--seeds", "0", "--cpu", "--out", str(tmp_path / "runs"), "--unreadable", "skip"]) == 0
    (record,) = (tmp_path / "runs").glob("hf-digits@5*.json")
    assert str(stored) not in record.read_text()


@pytest.mark.parametrize(("typed", "message"), [
    ("", "hf: must be followed by OWNER/NAME of the hub or by a path, got nothing"),
    ("pets", "hf: must be followed by OWNER/NAME of the hub or by a path that exists, got 'pets'"),
    ("{stored}(lable=odd)", r"unknown option of hf:.*'lable'; did you mean 'label'\? Known: .*"),
    ("{stored}(label=writers)", r"hf:digits must have one column of classes, or say which: hf:...\(label=.*, got label, odd"),
    ("{stored}(test=dev)", "hf:digits must have the split 'dev', got train, test"),
    ("{stored}(label=image)", r"hf:digits must have one column of classes, or say which: .*"),
    ("{stored}/data/notes.txt", "hf: must be followed by a folder or a file that ends with .parquet, .*, got 'notes.txt'"),
    ("{stored}(image=label)", r"hf:digits must have one column of images, or say which: hf:...\(image=COLUMN\), got image"),
    ("{stored}(label=odd,group=writer)", "images of one group must be in one part, got '0' in train and test"),
    ("{stored}(group=writers)", "the train part of hf:digits must have a column 'writers', got image, label, odd, writer"),
])
def test_refusals(stored: Path, typed: str, message: str) -> None:
    if typed.endswith("notes.txt"):
        (stored / "data" / "notes.txt").touch()
    try:
        with pytest.raises(UserError, match=f"^{message}$") as caught:
            open_hub(typed.format(stored=stored))
        assert "\n" not in str(caught.value)
    finally:
        (stored / "data" / "notes.txt").unlink(missing_ok=True)


def test_without_the_library_one_line_says_what_to_install(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"^hf: needs the library datasets: pip install 'ltbench\[hf\]'$"):
        open_hub(str(stored))
