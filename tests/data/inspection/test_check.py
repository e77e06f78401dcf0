from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.data.base import Dataset
from ltbench.data.cifar import Cifar10LT, Cifar100LT
from ltbench.data.digits import DigitsLT
from ltbench.data.imagenet_lt import ImageNetLT
from ltbench.data.inat18 import INat18
from ltbench.data.inspection.check import Report, check
from ltbench.data.places_lt import PlacesLT
from ltbench.data.published import Totals
from ltbench.errors import MissingData
from tests.support.list_factory import write_cifar10, write_list
from tests.support.tiny import Tiny, write_tiny

LISTS_ONLY = "no image was found: only the lists were checked"


def run(dataset: Dataset, root: Path | None, *, full: bool = False) -> Report:
    return check(dataset, root, full=full, workers=0, make_progress=lambda step, images: None)


def lines(report: Report) -> list[str]:
    return [finding.line for finding in report.findings]


@pytest.fixture(scope="module")
def lists(data_root: Path) -> Path:
    if not (data_root / "lt-lists").is_dir():
        pytest.skip("LTBENCH_DATA holds no lt-lists")
    return data_root


def test_a_sound_set(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    for full in (False, True):
        report = run(Tiny(), tmp_path, full=full)
        assert lines(report) == report.absent == report.notes == []
        assert {name: (part.counts.tolist(), part.found) for name, part in report.parts.items()} == {
            "train": ([5, 2, 1], 8), "val": ([1, 1, 1], 3), "test": ([2, 2, 2], 6)}
        assert list(report.seconds) == ["lists", "files", "contents", *(["decode"] if full else [])]


def test_every_fault_is_a_line_of_its_own(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path)
    content = (folder / "train" / "1.jpg").read_bytes()
    (folder / "train" / "1.jpg").write_bytes(content[:len(content) // 2])
    (folder / "test" / "0.jpg").unlink()
    shutil.copy(folder / "train" / "0.jpg", folder / "val" / "2.jpg")
    (folder / "train.txt").write_text("".join(f"train/{number}.jpg {min(number // 4, 1)}\n" for number in (*range(8), 7)))
    report = run(Tiny(), tmp_path)
    assert lines(report) == [
        "train: images must be 8, got 9: class 0 (zero) must have 5 and has 4, class 1 (one) must have 2 and has 5, "
        "class 2 (two) must have 1 and has 0",
        f"train: class 2 (two) has no image in '{folder}/train.txt'",
        f"train: image '{folder}/train/7.jpg' is listed twice",
        f"val image '{folder}/val/2.jpg' has the content of train image '{folder}/train/0.jpg'",
        f"test: image '{folder}/test/0.jpg' is not there",
    ]
    truncated = [line for line in lines(run(Tiny(), tmp_path, full=True)) if "1.jpg" in line]
    assert len(truncated) == 1 and truncated[0].startswith(f"train: image '{folder}/train/1.jpg' cannot be read (")


def test_a_damaged_list_is_a_finding_and_the_others_are_checked(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path)
    with (folder / "train.txt").open("a") as stream:
        stream.write("train/0.jpg 3\n")
    report = run(Tiny(), tmp_path)
    assert lines(report) == [f"line 9 of '{folder}/train.txt' must have a label from 0 to 2, got 3"]
    assert list(report.parts) == ["val", "test"]


def test_what_is_not_there(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path)
    (folder / "val.txt").unlink()
    report = run(Tiny(), tmp_path)
    assert report.notes == ["the validation list is not there; no run needs it"] and lines(report) == report.absent == []
    (folder / "train.txt").unlink()
    report = run(Tiny(), tmp_path)
    assert lines(report) == [] and len(report.absent) == 1
    assert report.absent[0].startswith("train part: tiny is not there: no 'train.txt' in ")
    (folder / "test.txt").unlink()
    with pytest.raises(MissingData, match="^tiny is not there: no 'train.txt'"):
        run(Tiny(), tmp_path)


def test_lists_alone(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path)
    for part in ("train", "val", "test"):
        shutil.rmtree(folder / part)
    for full in (False, True):
        report = run(Tiny(), tmp_path, full=full)
        assert report.notes == [LISTS_ONLY] and lines(report) == []


@pytest.mark.parametrize("full", [[], ["--full"]])
@pytest.mark.parametrize("kind", ["list", "csv"])
def test_an_own_set_without_any_image_is_not_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, full: list[str]
                                                   ) -> None:
    rows = [(f"elsewhere/{part}/{row}.png", str(row % 2), part) for part in ("train", "test") for row in range(4)]
    if kind == "list":
        for part in ("train", "test"):
            (tmp_path / f"{part}.list").write_text("".join(f"{path} {label}\n" for path, label, of in rows if of == part))
    else:
        (tmp_path / "train.csv").write_text("path,label,split\n" + "".join(f"{','.join(row)}\n" for row in rows))
    assert main(["data", "check", f"{kind}:{tmp_path / 'train'}.{kind}", *full]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-4:] == [f"note: {LISTS_ONLY}", *(
        f"problem: {part}: none of 4 images was found, the first: image '{tmp_path}/elsewhere/{part}/0.png' is not there"
        for part in ("train", "test")), "2 problems"]
    (tmp_path / "elsewhere" / "test").mkdir(parents=True)
    (tmp_path / "elsewhere" / "test" / "0.png").write_bytes(b"no image")
    assert main(["data", "check", f"{kind}:{tmp_path / 'train'}.{kind}"]) == 1  # as before: one is there, the others are named
    assert "7 problems" in capsys.readouterr().out


def test_images_in_memory() -> None:
    report = run(DigitsLT(), None)
    assert lines(report) == [] and report.parts["train"].found is None
    assert int(report.parts["train"].counts.sum()) == 1297


def test_a_file_that_is_not_the_official_one(tmp_path: Path) -> None:
    report = run(Cifar10LT(), write_cifar10(tmp_path))
    assert len(lines(report)) == 1 and "'data_batch_1' is not the official one (md5 differs)" in lines(report)[0].replace(
        f"{tmp_path}/cifar-10-batches-py/", "")
    with pytest.raises(MissingData):
        run(Cifar10LT(), tmp_path / "cifar-10-batches-py" / "gone")


@pytest.mark.slow
def test_the_authors_duplicates_are_no_fault(cifar100_root: Path) -> None:
    report = run(Cifar100LT(), cifar100_root)
    assert lines(report) == []
    assert report.notes[0].startswith("10 images of the published files stand in two parts, the first: test image ")


@pytest.mark.slow
def test_places_lts_lists(lists: Path) -> None:
    report = run(PlacesLT(), lists)
    assert lines(report) == [] and report.notes == [LISTS_ONLY]
    assert Totals.of(report.parts["train"].counts) == Totals(62_500, 4980, 5, many=131, medium=163, few=71)
    assert [int(report.parts[name].counts.sum()) for name in ("val", "test")] == [7_300, 36_500]


@pytest.mark.slow
def test_imagenet_lts_lists_and_true_counts(lists: Path, tmp_path: Path) -> None:
    folder = lists / "lt-lists" / "imagenet_lt"
    with (folder / "imagenet_lt_train_class_counts.csv").open(encoding="utf-8") as stream:
        counts = [int(row["train_count"]) for row in csv.DictReader(stream)]
    for name in ("ImageNet_LT_val.txt", "ImageNet_LT_test.txt"):
        shutil.copy(folder / name, tmp_path / name)
    write_list(tmp_path / "ImageNet_LT_train.txt", "train/{k}/{i}.JPEG", counts)
    report = run(ImageNetLT(), tmp_path)
    assert lines(report) == [] and report.absent == []
    assert Totals.of(report.parts["train"].counts) == Totals(115_846, 1280, 5, many=385, medium=479, few=136)
    assert [int(report.parts[name].counts.sum()) for name in ("val", "test")] == [20_000, 50_000]
    written = (tmp_path / "ImageNet_LT_train.txt").read_text().splitlines(keepends=True)
    (tmp_path / "ImageNet_LT_train.txt").write_text("".join(written[:-1]))
    assert lines(run(ImageNetLT(), tmp_path)) == ["train: images must be 115,846, got 115,845 (-1)"]


@pytest.mark.slow
def test_inat18_at_its_real_size(tmp_path: Path) -> None:
    assert INat18.published is not None
    write_list(tmp_path / "iNaturalist18_train.txt", "train_val2018/{k}/{i}.jpg", INat18.published.train)
    write_list(tmp_path / "iNaturalist18_val.txt", "train_val2018/{k}/v{i}.jpg", INat18.published.test)
    report = run(INat18(), tmp_path)
    assert lines(report) == [] and report.notes == [LISTS_ONLY]
    assert Totals.of(report.parts["train"].counts) == Totals(437_513, 1000, 2, many=842, medium=4076, few=3224)
    assert report.parts["test"].counts.tolist() == [3] * 8142
