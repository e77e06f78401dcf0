"""Datasets of image files from end to end: JPEGs in a tree, through every command that a user types."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from ltbench.backbones.pretrained import open_weights
from ltbench.cli.main import main
from ltbench.data.files import FileImages
from ltbench.data.inat18 import INat18
from ltbench.data.task_data import load_parts
from tests.support.list_factory import write_jpegs

COUNTS = (40, 24, 14, 9, 6, 4, 3, 2, 2, 2)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits_batch: tuple[object, object]) -> Path:
    """Write ten classes of real digits as an inat18 that is small in everything."""
    images, labels = (np.asarray(part) for part in digits_batch)
    pixels = (images[:, 0] * 255).astype(np.uint8).repeat(4, 1).repeat(4, 2)  # (N, 32, 32)
    folder = tmp_path / "inat18"
    for name, skip, counts in (("train", 0, COUNTS), ("other", 50, COUNTS), ("val", 100, (3,) * 10)):
        chosen = np.concatenate([np.flatnonzero(labels == k)[skip:skip + count] for k, count in enumerate(counts)])
        names = write_jpegs(folder / name, pixels[chosen])
        lines = [f"{name}/{file} {label}\n" for file, label in zip(names, labels[chosen], strict=True)]
        (folder / f"iNaturalist18_{name}.txt").write_text("".join(lines), encoding="utf-8")
    monkeypatch.setattr(INat18, "class_names", tuple(map(str, range(10))))
    monkeypatch.setattr(INat18, "image_size", 16)
    monkeypatch.setattr(INat18, "resized", 18)
    quick = INat18.protocols["quick"].replace(backbone="digits", epochs=1, batch_size=16, stage2_batch_size=16, name="quick")
    monkeypatch.setattr(INat18, "protocols", {"quick": quick})
    return tmp_path


def run(root: Path, out: Path, *more: str) -> int:
    return main(["run", "--dataset", "inat18", "--methods", "ce/prototype", "--seeds", "0", "--cpu", "--data-root", str(root),
                 "--out", str(out), *more])


def record_of(out: Path) -> dict[str, object]:
    record: dict[str, object] = json.loads(next(out.glob("*.json")).read_text(encoding="utf-8"))
    return record


def test_runs_end_to_end_whatever_the_workers(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = []
    for workers in ("0", "2"):
        monkeypatch.setenv("LTBENCH_WORKERS", workers)
        monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / f"cache{workers}"))
        assert run(small, tmp_path / workers) == 0
        records.append(record_of(tmp_path / workers))
    first, second = records
    assert first["status"] == "completed"
    assert first["split"]["class_counts"] == list(COUNTS)  # type: ignore[index]
    assert first["split"]["test_counts"] == [3] * 10  # type: ignore[index]
    for name in ("predictions", "metrics", "curve", "per_class", "geometry"):
        assert first[name] == second[name], name


def test_a_pack_takes_the_place_of_the_files(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LTBENCH_WORKERS", "2")
    assert run(small, tmp_path / "a") == 0
    pack = small / "inat18.tars"
    assert main(["data", "pack", "inat18", "--data-root", str(small), "--out", str(pack)]) == 0
    assert "packed " in capsys.readouterr().out
    (small / "inat18").rename(small / "elsewhere")
    assert run(small, tmp_path / "a", "--dry-run") == 0  # the record of the files is the pack's
    told = capsys.readouterr()
    assert "0 of 1 runs and 0 stages to do" in told.out
    assert f"inat18: images are read from the pack {str(pack)!r}" in told.err.splitlines()
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "another"))
    assert run(pack, tmp_path / "b") == 0
    first, second = record_of(tmp_path / "a"), record_of(tmp_path / "b")
    for name in ("key", "split", "predictions", "metrics", "curve"):
        assert first[name] == second[name], name


def test_a_changed_list_is_another_set(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LTBENCH_WORKERS", "0")
    train, other = (small / "inat18" / f"iNaturalist18_{name}.txt" for name in ("train", "other"))
    first_list, other_list = train.read_text(encoding="utf-8"), other.read_text(encoding="utf-8")

    def labels(text: str) -> list[str]:
        return [line.split()[1] for line in text.splitlines()]

    assert labels(first_list) == labels(other_list)

    def reused(out: str) -> tuple[dict[str, bool], object]:
        assert run(small, tmp_path / out) == 0
        record = record_of(tmp_path / out)
        return record["timing"]["reused"], record["split"]["hash"]  # type: ignore[index]

    taken, kept = {"stage 1": True, "stage 2": True}, {"stage 1": False, "stage 2": False}
    flags, first = reused("a")
    assert flags == kept
    assert reused("b") == (taken, first)
    train.write_text(other_list, encoding="utf-8")
    flags, second = reused("c")
    assert flags == kept and second != first
    capsys.readouterr()
    assert run(small, tmp_path / "a", "--dry-run") == 0  # where the record is the first list's
    assert "1 of 1 runs and 0 stages to do" in capsys.readouterr().out
    train.write_text(first_list, encoding="utf-8")
    assert run(small, tmp_path / "a", "--dry-run") == 0
    assert "0 of 1 runs and 0 stages to do" in capsys.readouterr().out
    train.write_text("".join(first_list.splitlines(keepends=True)[1:]), encoding="utf-8")  # one image fewer
    assert reused("d")[0] == kept


def test_published_shifts_are_taken_and_missing_ones_built(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LTBENCH_WORKERS", "0")
    lines = (small / "inat18" / "iNaturalist18_val.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    file = small / "inat18" / "sade_test_agnostic" / "iNaturalist18_forward3.txt"
    file.parent.mkdir()
    file.write_text("".join(lines[12:2:-2]), encoding="utf-8")
    assert run(small, tmp_path / "out") == 0
    shifts = record_of(tmp_path / "out")["metrics"]["label_shift"]  # type: ignore[index]
    assert sorted(shifts["built"]) == ["backward2", "backward3", "forward2"]
    assert {name: (entry["images"], entry["classes"]) for name, entry in shifts["published"].items()} == {"forward3": (5, 4)}
    (path,) = (tmp_path / "out").glob("*.json")
    assert main(["show", str(path)]) == 0
    assert "verified: every figure follows from the 30 predictions" in capsys.readouterr().out
    file.write_text("val/0.jpg 1\n", encoding="utf-8")
    assert run(small, tmp_path / "damaged") == 2
    (told,) = capsys.readouterr().err.splitlines()[-1:]
    assert told == f"ltbench: line 1 of '{file}' must name an image of the test list with the same label, got 'val/0.jpg 1'"
    assert not (tmp_path / "damaged").exists()


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_workers_that_are_no_number_are_refused_before_training(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                               capsys: pytest.CaptureFixture[str], more: tuple[str, ...]) -> None:
    monkeypatch.setenv("LTBENCH_WORKERS", "x")
    assert run(small, tmp_path / "out", *more) == 2
    assert capsys.readouterr().err.splitlines() == ["ltbench: LTBENCH_WORKERS must be a number >= 0, got 'x'"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_missing_folder_is_found_before_training(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                   part: str) -> None:
    (small / "inat18" / part).rename(small / "elsewhere")
    assert run(small, tmp_path / "out") == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"ltbench: image '{small / 'inat18' / part / '0.jpg'}' is not there; say where")
    assert not (tmp_path / "out").exists()


def test_a_damaged_image_fails_the_run_in_one_line(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LTBENCH_WORKERS", "2")
    (small / "inat18" / "train" / "5.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    assert run(small, tmp_path / "out") == 1
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    assert len(told) == 1 and "5.jpg' cannot be read" in told[0]
    record = record_of(tmp_path / "out")
    assert record["status"] == "failed" and "5.jpg" in str(record["reason"]) and str(tmp_path) not in str(record["reason"])


def test_a_dry_run_opens_no_image(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in (small / "inat18").glob("*/*.jpg"):
        file.unlink()
    assert run(small, tmp_path / "out", "--dry-run") == 0
    told = capsys.readouterr()
    assert "1 of 1 runs" in told.out and "data not found" not in told.err


def test_a_dry_run_needs_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, tmp_path / "out", "--dry-run") == 0
    assert "inat18: data not found: class counts as published" in capsys.readouterr().err
    assert run(tmp_path, tmp_path / "out") == 2
    assert "inat18 is not there" in capsys.readouterr().err


@pytest.mark.slow
def test_every_species_takes_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits_batch: tuple[object, object]) -> None:
    """Run all 8,142 classes, one image of each in training and in testing."""
    images, _ = (np.asarray(part) for part in digits_batch)
    names = write_jpegs(tmp_path / "inat18", (images[:500, 0] * 255).astype(np.uint8).repeat(4, 1).repeat(4, 2))
    assert INat18.published is not None
    for name, counts in (("train", np.minimum(INat18.published.train, 2)), ("val", INat18.published.test)):
        labels = np.repeat(np.arange(8142), counts).tolist()
        (tmp_path / "inat18" / name).mkdir()
        for number in range(len(labels)):  # an image of its own for each line, by name: links to the few
            os.link(tmp_path / "inat18" / names[number % len(names)], tmp_path / "inat18" / name / f"{number}.jpg")
        lines = [f"{name}/{number}.jpg {label}\n" for number, label in enumerate(labels)]
        (tmp_path / "inat18" / f"iNaturalist18_{name}.txt").write_text("".join(lines), encoding="utf-8")
    monkeypatch.setattr(INat18, "image_size", 16)
    monkeypatch.setattr(INat18, "resized", 18)
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    assert run(tmp_path, tmp_path / "out", "--protocol", "smoke", "--backbone", "digits", "--epochs", "1") == 0
    record = record_of(tmp_path / "out")
    assert record["status"] == "completed"
    assert record["split"]["class_counts"] == [1] * 8142  # type: ignore[index]
    assert sum(record["per_class"]["total"]) == 8142  # type: ignore[index]


def test_frozen_weights_see_files_at_their_own_size(small: Path, tmp_path: Path) -> None:
    file = tmp_path / "resnet.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), file)
    view = open_weights(str(file), "timm:test_resnet", download=False).view(INat18())
    train = load_parts(view, small, download=False).train
    assert isinstance(train, FileImages)
    assert (train.size, train.resized, INat18().image_size) == (160, 168, 16)  # 168.4: timm's test model cuts out 0.95 of a side
    assert train.fetch(torch.tensor([0])).shape == (1, 3, 160, 160)
    assert run(small, tmp_path / "out", "--backbone", "timm:test_resnet", "--weights", str(file)) == 0
    assert record_of(tmp_path / "out")["status"] == "completed"
