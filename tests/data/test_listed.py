from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ltbench.data.digits import DigitsLT
from ltbench.data.files import FileImages
from ltbench.data.held_out import holding_out
from ltbench.data.imagenet_lt import ImageNetLT
from ltbench.data.inat18 import INat18
from ltbench.data.listed import ListedDataset
from ltbench.data.longtail import split_hash
from ltbench.data.packing import write_pack
from ltbench.data.parts import Parts
from ltbench.data.places_lt import PlacesLT
from ltbench.data.svhn import SvhnLT
from ltbench.data.task_data import TaskData, load_parts, load_task_data
from ltbench.errors import MissingData, UserError
from ltbench.running.tuning.validation import trial_data
from ltbench.terms.task import Task
from tests.support.list_factory import LISTED, write_list, write_lists


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lists(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("dataset", LISTED)
def test_a_list_is_enough_without_images(dataset: type[ListedDataset], root: Path) -> None:
    parts = dataset().load(root)
    data = load_task_data(dataset(), parts, Task(dataset.name, None), None)
    assert dataset.published is not None
    assert data.class_counts.tolist() == list(dataset.published.train)
    assert torch.bincount(parts.test.labels).tolist() == list(dataset.published.test)
    with pytest.raises(UserError, match=r"image '.*/train/0/0_0.jpg' is not there"):
        parts.train.fetch(torch.tensor([0]))


def test_counts_come_from_the_list(tmp_path: Path) -> None:
    write_list(tmp_path / "Places_LT_train.txt", "train/{k}/{i}.jpg", [3, 1, *[2] * 363])
    write_list(tmp_path / "Places_LT_test.txt", "val/{k}/{i}.jpg", [1] * 365)
    data = load_task_data(PlacesLT(), PlacesLT().load(tmp_path), Task("places-lt", None), None)
    assert data.class_counts.tolist() == [3, 1, *[2] * 363]


def test_the_split_names_the_images(tmp_path: Path) -> None:
    def data(folder: str, train: str, test: str) -> TaskData:
        write_list(tmp_path / folder / "Places_LT_train.txt", train, [2] * 365)
        write_list(tmp_path / folder / "Places_LT_test.txt", test, [1] * 365)
        return load_task_data(PlacesLT(), PlacesLT().load(tmp_path / folder), Task("places-lt", None), None)

    train, test, new = (f"{part}/{{k}}/{{i}}.jpg" for part in ("train", "val", "new"))
    first, moved, trained, tested = (data("first", train, test), data("moved", train, test), data("trained", new, test),
                                     data("tested", train, new))
    assert (moved.split.hash, moved.fingerprint) == (first.split.hash, first.fingerprint)
    assert trained.split.indices.tolist() == first.split.indices.tolist()  # which says nothing of the images
    for values in zip(*((part.split.hash, part.fingerprint) for part in (first, trained, tested)), strict=True):
        assert len(set(values)) == 3


def test_images_in_memory_have_no_fingerprint(digits: Parts) -> None:
    data = load_task_data(DigitsLT(), digits, Task("digits-lt", 20.0), None)
    assert data.fingerprint is None
    assert data.split.hash == split_hash(data.split.indices)


def test_a_list_with_an_empty_class_is_refused(tmp_path: Path) -> None:
    write_list(tmp_path / "Places_LT_train.txt", "train/{k}/{i}.jpg", [3, 0, *[2] * 363])
    write_list(tmp_path / "Places_LT_test.txt", "val/{k}/{i}.jpg", [1] * 365)
    with pytest.raises(UserError, match="^places-lt: every class must have a training image, class 1 has none"):
        load_task_data(PlacesLT(), PlacesLT().load(tmp_path), Task("places-lt", None), None)


@pytest.fixture(params=["imagenet", "ImageNet_LT", "."])
def images(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Return where ImageNet's folders lie; the lists stand in ImageNet_LT."""
    write_list(tmp_path / "ImageNet_LT" / "ImageNet_LT_train.txt", "train/{k}/{i}.jpg", [1] * 1000)
    write_list(tmp_path / "ImageNet_LT" / "ImageNet_LT_test.txt", "val/{k}/{i}.jpg", [1] * 1000)
    folder = tmp_path / request.param
    for part in ("train", "val"):
        (folder / part / "0").mkdir(parents=True)
        (folder / part / "0" / "0.jpg").touch()
    yield folder


def test_images_are_found_beside_the_list_or_in_their_own_folder(tmp_path: Path, images: Path) -> None:
    for where in (tmp_path, tmp_path / "ImageNet_LT"):
        if where != tmp_path and images.name != "ImageNet_LT":
            continue
        parts = ImageNetLT().load(where)
        assert isinstance(parts.train, FileImages) and isinstance(parts.test, FileImages)
        assert Path(parts.train.paths[0]) == images / "train" / "0" / "0.jpg"
        assert Path(parts.test.paths[999]) == images / "val" / "999" / "0.jpg"


def test_one_missing_image_does_not_hide_the_others(tmp_path: Path, images: Path) -> None:
    (images / "train" / "0" / "0.jpg").unlink()
    (images / "train" / "999").mkdir()
    (images / "train" / "999" / "0.jpg").touch()
    train = ImageNetLT().load(tmp_path).train
    assert isinstance(train, FileImages) and Path(train.paths[0]) == images / "train" / "0" / "0.jpg"


def test_a_validation_list_is_read_where_it_is_and_changes_nothing(tmp_path: Path) -> None:
    write_list(tmp_path / "Places_LT_train.txt", "train/{k}/{i}.jpg", [2] * 365)
    write_list(tmp_path / "Places_LT_test.txt", "val/{k}/{i}.jpg", [1] * 365)
    without = PlacesLT().load(tmp_path)
    write_list(tmp_path / "Places_LT_val.txt", "train/{k}/v{i}.jpg", [3, *[1] * 364])
    parts = PlacesLT().load(tmp_path)
    assert without.val is None and isinstance(parts.val, FileImages)
    assert torch.bincount(parts.val.labels).tolist() == [3, *[1] * 364]
    task = Task("places-lt", None)
    with_val, plain = (load_task_data(PlacesLT(), found, task, None) for found in (parts, without))
    assert (with_val.fingerprint, with_val.split.hash) == (plain.fingerprint, plain.split.hash)


def test_a_damaged_validation_list_stops_whoever_asks_for_it(tmp_path: Path) -> None:
    for part, count in (("train", 2), ("test", 1)):
        write_list(tmp_path / f"Places_LT_{part}.txt", f"{part}/{{k}}/{{i}}.jpg", [count] * 365)
    (tmp_path / "Places_LT_val.txt").write_text("nonsense\n")
    parts = PlacesLT().load(tmp_path)
    assert parts.val is None  # a run that never reads it must not stop
    data = load_task_data(PlacesLT(), load_parts(PlacesLT(), tmp_path, download=False), Task("places-lt", None), None)
    for asks in (lambda: holding_out(data, 0, None), lambda: trial_data(data, 0, None),
                 lambda: write_pack(tmp_path / "places-lt.tars", "places-lt", parts)):
        with pytest.raises(UserError, match=r"^line 1 of '.*/Places_LT_val.txt' must "):
            asks()
    assert not (tmp_path / "places-lt.tars").exists()


def test_json_stands_in_for_the_list(tmp_path: Path) -> None:
    for name in ("train2018.json", "val2018.json"):
        entries = [{"id": k, "file_name": f"train_val2018/{k}.jpg"} for k in range(8142)]
        notes = [{"image_id": k, "category_id": k} for k in range(8142)]
        (tmp_path / name).write_text(json.dumps({"images": entries, "annotations": notes}), encoding="utf-8")
    parts = INat18().load(tmp_path)
    assert torch.bincount(parts.train.labels).tolist() == [1] * 8142


def test_a_missing_list_says_where_it_was_looked_for(tmp_path: Path, root: Path) -> None:
    (tmp_path / "inat18").mkdir()
    with pytest.raises(MissingData, match=r"inat18 is not there: no 'iNaturalist18_train.txt' or 'train2018.json' in '.*' or its "
                                          r"folders inat18, .*; get it from .*inat_comp\), and say where") as caught:
        INat18().load(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(MissingData):
        INat18().load(None)  # the cache is empty


def test_what_the_system_refuses_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(UserError, match=r"^'.*/inat18' cannot be read: Permission denied$"):
        INat18().load(tmp_path)
    with pytest.raises(UserError, match=r"^svhn-lt cannot be read: '.*/svhn': Permission denied$"):
        load_parts(SvhnLT(), tmp_path, download=False, planning=True)  # it may be there: published counts do not stand for it


def test_normalization_and_protocols() -> None:
    assert ImageNetLT.mean == (0.485, 0.456, 0.406) and INat18.std == (0.195, 0.194, 0.192)
    common = ImageNetLT.protocols["common"]
    assert (common.backbone, common.epochs, common.batch_size, common.lr) == ("timm:resnext50_32x4d", 90, 256, 0.1)
    assert (common.schedule, common.weight_decay) == ("cosine", 5e-4)
    assert common.augmentation == ("random_resized_crop", "flip", "jitter")
    common = INat18.protocols["common"]
    assert (common.backbone, common.epochs, common.batch_size, common.lr) == ("timm:resnet50", 90, 512, 0.2)
    assert (common.schedule, common.weight_decay) == ("cosine", 1e-4)
    assert "jitter" not in common.augmentation


def test_published_lists(data_root: Path) -> None:
    """Read the real lists of Places-LT, which need no image."""
    if not (data_root / "lt-lists").is_dir():
        pytest.skip("LTBENCH_DATA holds no lt-lists")
    parts = PlacesLT().load(data_root)
    assert parts.val is not None
    assert [len(part.labels) for part in (parts.train, parts.val, parts.test)] == [62_500, 7_300, 36_500]
