"""A user's own images from end to end, through what a user types."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ltbench.cli.main import main
from ltbench.testing.processes import last_words, launch
from tests.support.own_images import write_classes, write_digits

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LTBENCH_WORKERS", "0")

    def run(dataset: str, *more: str, methods: str = "ce", size: str = "16") -> int:
        return main(["run", "--dataset", dataset, "--methods", methods, "--seeds", "0", "--protocol", "smoke", "--epochs", "1",
                     "--backbone", "digits", "--image-size", size, "--cpu", "--out", str(tmp_path / "out"), *more])

    return run


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(out.glob("*.json"))]


def test_digits_in_folders(run: Run, tmp_path: Path, digits_batch: tuple[object, object]) -> None:
    root = write_digits(tmp_path / "digits", digits_batch)
    assert run(f"folder:{root}@20", "--backbone", "resnet20", methods="ce,ncm", size="32") == 0
    first, second = records(tmp_path / "out")
    # The smallest class has 174 images; 34 of them are the test part, and the formula starts at the other 140.
    assert first["split"]["class_counts"] == [10] * 8 + [9, 7]  # int(140 * (1 / 20) ** (8 / 9)), 140 / 20; others cut to 10
    assert first["split"]["test_counts"] == [10] * 10
    assert first["task"]["dataset"] == "folder:digits" and first["task"]["imbalance_ratio"] == 20
    assert (first["protocol"]["name"], first["protocol"]["image_size"]) == ("custom", 32)
    assert first["split"]["images"] == second["split"]["images"]
    assert [record["status"] for record in (first, second)] == ["completed"] * 2
    for file in (tmp_path / "out").iterdir():
        assert file.name.startswith("folder-digits@20-custom-ce")
        assert str(tmp_path).encode() not in file.read_bytes()


def test_a_list_of_real_digits(run: Run, tmp_path: Path, digits_batch: tuple[object, object]) -> None:
    root = write_digits(tmp_path / "digits", digits_batch, per_class=8)
    for name, chosen in (("train", slice(0, 6)), ("test", slice(6, 8))):
        lines = [f"{file.relative_to(root)}\t{file.parent.name}\n" for k in range(10)
                 for file in sorted((root / str(k)).iterdir())[chosen]]
        (root / f"mine_{name}.txt").write_text("".join(lines), encoding="utf-8")
    assert run(f"list:{root}/mine_train.txt", "--imbalance-ratio", "3") == 0
    (record,) = records(tmp_path / "out")
    assert record["task"]["dataset"] == "list:mine_train"
    assert record["split"]["class_counts"] == [6, 5, 4, 4, 3, 3, 2, 2, 2, 2]  # int(6 * (1 / 3) ** (k / 9)), as 6/3 is 2 exactly
    assert record["split"]["test_counts"] == [2] * 10


def test_two_folders_of_one_name_stay_apart(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (write_classes(tmp_path / where / "x", {"a": 12, "b": 12}, size) for where, size in (("1", 12), ("2", 13)))
    for root in (one, two):
        assert run(f"folder:{root}") == 0
    assert len(records(tmp_path / "out")) == 2
    assert not any(record["timing"]["reused"]["stage 1"] for record in records(tmp_path / "out"))
    capsys.readouterr()
    assert main(["leaderboard", str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    assert told.out.count("## folder:x, common track") == 2 and "warning" not in told.err
    assert run(f"folder:{one},folder:{two}") == 2
    assert capsys.readouterr().err.splitlines() == [
        f"ltbench: --dataset must not hold two sets called 'folder:x': run them one after the other, got 'folder:{two}'"]
    assert run(f"folder:{one},folder:{one}@2", "--dry-run") == 0
    shutil.move(tmp_path / "1" / "x", tmp_path / "x")  # moved, and still the same
    assert run(f"folder:{tmp_path}/x", "--dry-run") == 0
    assert "0 of 1 runs" in capsys.readouterr().out


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Write a set with two training images and a test image that cannot be read."""
    for part, count in (("train", 12), ("test", 3)):
        write_classes(tmp_path / "my pets" / part, {"a": count, "b": count})
    for name in ("train/a/000.png", "train/b/003.png", "test/b/001.png"):
        (tmp_path / "my pets" / name).write_bytes(b"")
    return tmp_path / "my pets"


def test_the_first_unreadable_image_ends_the_run(run: Run, tmp_path: Path, damaged: Path,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"folder:{damaged}", "--epochs", "2") == 1
    (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    assert f"image '{damaged}/train/" in told and "cannot be read" in told
    (record,) = records(tmp_path / "out")
    assert record["status"] == "failed" and record["reason"].startswith("image '") and "pets" not in record["reason"]
    assert "unreadable" not in record["split"]


def test_unreadable_images_are_left_out_and_counted(run: Run, tmp_path: Path, damaged: Path,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    protocol = ["--unreadable", "skip", "--protocol", "quick", "--batch-size", "8"]
    assert run(f"folder:{damaged}", *protocol, "--dry-run") == 0
    assert "decoding" not in capsys.readouterr().err
    assert run(f"folder:{damaged}", *protocol) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[:4] == ["decoding 24 images once (folder:my-pets, train part)",
                        "decoding 6 images once (folder:my-pets, test part)",
                        "folder:my-pets: 2 of 24 train images cannot be read and are left out: 'a/000.png', 'b/003.png'",
                        "folder:my-pets: 1 of 6 test images cannot be read and are left out: 'b/001.png'"]
    (record,) = records(tmp_path / "out")
    assert record["status"] == "completed"
    assert record["split"]["class_counts"] == [11, 11] and record["split"]["test_counts"] == [3, 2]
    assert (record["split"]["unreadable"]["train"], record["split"]["unreadable"]["test"]) == (2, 1)
    assert record["per_class"]["total"] == [3, 2]
    assert str(tmp_path) not in json.dumps(record)
    assert run(f"folder:{damaged}", *protocol) == 0  # the record is found, and no image is decoded for that
    assert "decoding" not in capsys.readouterr().err
    assert run(f"folder:{damaged}", *protocol, "--dry-run") == 0
    assert "0 of 1 runs" in capsys.readouterr().out
    for file in (damaged / "train" / "a").iterdir():
        file.write_bytes(b"")
    assert run(f"folder:{damaged}", *protocol) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "ltbench: class 'a' of folder:my-pets must keep a training image that can be read, got 12 that cannot")


@pytest.mark.parametrize(("backbone", "size", "refused"), [
    ("resnet20", "20", ""),
    pytest.param("resnet10", "48", "", marks=pytest.mark.slow),
    pytest.param("timm:resnet10t", "48", "", marks=pytest.mark.slow),
    pytest.param("timm:vit_tiny_patch16_224", "32", "", marks=pytest.mark.slow),
    ("timm:vit_tiny_patch16_224", "8", "timm:vit_tiny_patch16_224 cannot read images of 8 x 8 pixels"),
])
def test_every_backbone_takes_the_size(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], backbone: str, size: str,
                                       refused: str) -> None:
    root = write_classes(tmp_path / "x", {"a": 11, "b": 11})
    assert run(f"folder:{root}", "--backbone", backbone, size=size) == (2 if refused else 0)
    if refused:
        (told,) = capsys.readouterr().err.splitlines()
        assert told.startswith(f"ltbench: {refused}")


@pytest.mark.parametrize(("dataset", "more", "message"), [
    ("digits-lt", (), "--image-size must be left out for 'digits-lt', whose images are in memory at 8 x 8 pixels, got 16"),
    ("digits-lt", ("--image-size", "0"), "--image-size must be > 0, got 0"),
    ("digits-lt@20", ("--imbalance-ratio", "5"), "--imbalance-ratio must agree with 'digits-lt@20' or be left out, got 5"),
    ("inat18", ("--imbalance-ratio", "5"), "dataset 'inat18' is long-tailed as it is and takes no ratio, got 5"),
])
def test_options_that_do_not_fit(run: Run, capsys: pytest.CaptureFixture[str], dataset: str, more: tuple[str, ...],
                                 message: str) -> None:
    assert run(dataset, *more) == 2
    assert capsys.readouterr().err.splitlines() == [f"ltbench: {message}"]


def test_the_usual_size_changes_nothing(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", "--dataset", "digits-lt", "--methods", "ce", "--seeds", "0", "--dry-run", "--cpu"]
    told = []
    for more in ([], ["--image-size", "8"]):
        assert main([*arguments, *more]) == 0
        told.append([line.split() for line in capsys.readouterr().out.splitlines()][2:5])
    assert told[0] == told[1] and told[0][0][:5] == ["ce", "digits-lt@20", "0", "0", "quick"]


@pytest.mark.slow
def test_two_processes_leave_the_same_images_out(tmp_path: Path, damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LTBENCH_WORKERS", "1")
    command = [sys.executable, "-m", "ltbench.cli.main", "run", "--dataset", f"folder:{damaged}", "--methods", "ce",
               "--seeds", "0", "--protocol", "quick", "--batch-size", "8", "--epochs", "1", "--backbone", "digits",
               "--image-size", "16", "--cpu", "--unreadable", "skip", "--out", str(tmp_path / "out")]
    codes = launch(command, 2, tmp_path, seconds=300)
    assert codes == [0, 0], last_words(tmp_path, 2)
    (record,) = records(tmp_path / "out")
    assert record["status"] == "completed" and record["environment"]["world_size"] == 2
    assert record["split"]["class_counts"] == [11, 11] and record["per_class"]["total"] == [3, 2]
