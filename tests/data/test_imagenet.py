from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
import torch

from ltbench.data.files import FileImages
from ltbench.data.imagenet import ImageNet1k, ImageNet200
from ltbench.errors import MissingData, UserError
from tests.support.list_factory import write_class_folders


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_class_folders(tmp_path_factory.mktemp("data"))


def test_classes_are_numbered_by_their_folders_names(whole: Path) -> None:
    (whole / "imagenet1k" / "train" / "n00000002" / "a.txt").touch()  # no image
    parts = ImageNet1k().load(whole)
    assert isinstance(parts.train, FileImages) and isinstance(parts.test, FileImages)
    assert parts.train.labels.tolist() == parts.test.labels.tolist() == list(range(1000))
    assert Path(parts.train.paths[2]) == whole / "imagenet1k" / "train" / "n00000002" / "train_2.JPEG"
    assert Path(parts.test.paths[999]) == whole / "imagenet1k" / "val" / "n00000999" / "val_999.JPEG"


def test_tiny_imagenet_tests_on_the_annotated_images(whole: Path) -> None:
    parts = ImageNet200().load(whole)
    assert isinstance(parts.train, FileImages) and isinstance(parts.test, FileImages)
    assert torch.equal(parts.train.labels, torch.arange(200))
    assert torch.equal(parts.test.labels, torch.arange(199, -1, -1))  # as the annotations say, not as the files are named
    folder = whole / "tiny-imagenet-200"
    assert Path(parts.train.paths[7]) == folder / "train" / "n00000007" / "images" / "n00000007_0.JPEG"
    assert Path(parts.test.paths[7]) == folder / "val" / "images" / "val_7.JPEG"
    assert (parts.test.size, parts.test.resized) == (64, 64)


@pytest.fixture
def tiny(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole / "tiny-imagenet-200", tmp_path / "imagenet200")
    return tmp_path / "imagenet200"


def test_a_synologys_thumbnails_are_no_class(tiny: Path) -> None:
    for folder in (tiny / "train" / "@eaDir" / "n00000000", tiny / "train" / "n00000000" / "images" / "@eaDir"):
        folder.mkdir(parents=True)
        (folder / "n00000000_0.JPEG").touch()
    assert torch.equal(ImageNet200().load(tiny).train.labels, torch.arange(200))


def test_damage_is_named(tiny: Path) -> None:
    notes = tiny / "val" / "val_annotations.txt"
    notes.write_text("val_0.JPEG\tn00000001\t0\nval_1.JPEG\tn99999999\t0\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"line 2 of '.*val_annotations.txt' must read 'image<TAB>class .*"):
        ImageNet200().load(tiny)
    notes.unlink()
    with pytest.raises(UserError, match=r"'.*val_annotations.txt' cannot be read: No such file"):
        ImageNet200().load(tiny)
    (tiny / "train" / "n00000005" / "images" / "n00000005_0.JPEG").unlink()
    with pytest.raises(UserError, match=r"'.*n00000005/images' must hold images, got none"):
        ImageNet200().load(tiny)
    shutil.rmtree(tiny / "train" / "n00000005")
    with pytest.raises(UserError, match=r"^'.*train' must hold 200 folders, one a class, got 199$"):
        ImageNet200().load(tiny)


def test_the_odd_folder_is_named(tiny: Path) -> None:
    for name in (".ipynb_checkpoints", "n00000003/.ipynb_checkpoints"):  # which are no classes
        (tiny / "train" / name).mkdir()
    (tiny / "train" / "n00000003" / "images" / "._n00000003_0.JPEG").touch()
    assert len(ImageNet200().load(tiny).train.labels) == 200
    (tiny / "train" / "backup").mkdir()
    with pytest.raises(UserError, match=r"^'.*train' must hold 200 folders, one a class, got 201: besides 'backup'$"):
        ImageNet200().load(tiny)
    (tiny / "train" / "backup").rename(tiny / "train" / "n00001234")
    with pytest.raises(UserError, match=r"^'.*train' must hold 200 folders, one a class, got 201: besides 'n00001234'$"):
        ImageNet200().load(tiny)
    for name in ("n00000007", "n00001234"):
        shutil.rmtree(tiny / "train" / name)
    with pytest.raises(UserError, match=r"^'.*train' must hold 200 folders, one a class, got 199: without 'n00000007'$"):
        ImageNet200().load(tiny)


def test_a_class_that_only_the_test_part_has_is_refused(tmp_path: Path) -> None:
    for k in range(1000):
        for part in ("train", "val"):
            (tmp_path / part / f"n{k:08d}" / "inner").mkdir(parents=True)
            (tmp_path / part / f"n{k:08d}" / "inner" / "x.JPEG").touch()
    parts = ImageNet1k().load(tmp_path)
    assert isinstance(parts.train, FileImages) and parts.train.paths[5].endswith("train/n00000005/inner/x.JPEG")
    (tmp_path / "val" / "n99999999").mkdir()
    with pytest.raises(UserError, match=r"^'.*val' must hold no class that the training part lacks, got 'n99999999'$"):
        ImageNet1k().load(tmp_path)


def test_missing_folders_say_where_they_were_looked_for(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"imagenet1k is not there: no folders 'train' and 'val' in '.*' or its folders "):
        ImageNet1k().load(tmp_path)


def test_a_folder_that_may_not_be_entered_is_one_line(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"^'.*/imagenet1k/train' cannot be read: Permission denied$"):
        ImageNet1k().load(whole)


def test_published_totals() -> None:
    assert ImageNet1k.published is not None and ImageNet200.published is not None
    assert sum(ImageNet1k.published.train) == 1_281_167
    assert sum(ImageNet200.published.train) + sum(ImageNet200.published.test) == 110_000
