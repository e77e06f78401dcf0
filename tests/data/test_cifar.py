from __future__ import annotations

import hashlib
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets

from ltbench.data.cifar import Cifar10LT, Cifar100LT
from ltbench.data.cifar_variants import Cifar20LT
from ltbench.data.longtail import make_split
from ltbench.data.parts import Parts, TensorImages
from ltbench.errors import UserError
from ltbench.registry.discovery import load_registry


def test_reads_what_torchvision_reads(cifar100: Parts, cifar100_root: Path) -> None:
    assert isinstance(cifar100.train, TensorImages) and isinstance(cifar100.test, TensorImages)
    reference = torchvision.datasets.CIFAR100(str(cifar100_root), train=False)
    assert np.array_equal(cifar100.test.pixels.permute(0, 2, 3, 1).numpy(), reference.data)
    assert cifar100.test.labels.tolist() == reference.targets
    assert tuple(reference.classes) == Cifar100LT.class_names
    assert cifar100.train.pixels.shape == (50_000, 3, 32, 32)
    assert torch.bincount(cifar100.train.labels).tolist() == [500] * 100


def test_ten_test_images_are_training_images_as_the_specs_say(cifar100: Parts, cifar100_root: Path) -> None:
    assert isinstance(cifar100.train, TensorImages) and isinstance(cifar100.test, TensorImages)
    known = {image.numpy().tobytes(): place for place, image in enumerate(cifar100.train.pixels)}
    pairs = [(known[image.numpy().tobytes()], place) for place, image in enumerate(cifar100.test.pixels)
             if image.numpy().tobytes() in known]
    remarks = load_registry().remarks
    for dataset, moved in ((Cifar100LT(), 6), (Cifar20LT(), 0)):
        parts = dataset.load(cifar100_root)
        assert sum(int(parts.train.labels[here]) != int(parts.test.labels[there]) for here, there in pairs) == moved
        assert remarks[dataset.name].startswith(f"{len(pairs)} of the 10,000 test images")
        assert (f"{moved} of them under another class" in remarks[dataset.name]) == bool(moved)
    split = make_split(cifar100.train.labels, 100, 500, 100.0, imbalance="exp", split_seed=0, per_class=None)
    assert sum(here in split.indices for here, _ in pairs) == 4  # as docs/datasets.md says


def test_takes_the_inner_folder_too(cifar100: Parts, cifar100_root: Path) -> None:
    parts = Cifar100LT().load(cifar100_root / "cifar-100-python")
    assert torch.equal(parts.test.labels, cifar100.test.labels)


@pytest.mark.parametrize(("dataset", "file"), [(Cifar10LT(), "data_batch_1"), (Cifar100LT(), "train")])
def test_missing_data_says_how_to_get_it(tmp_path: Path, dataset: Cifar10LT | Cifar100LT, file: str) -> None:
    with pytest.raises(UserError, match=f"no '{file}' in .*pass --download, .*--data-root or LTBENCH_DATA") as caught:
        dataset.load(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="is not there"):
        dataset.load(None)  # the cache is empty


def test_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "cifar-100-python").mkdir()
    for name in ("train", "test", "meta"):
        (tmp_path / "cifar-100-python" / name).write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"damaged file: '.*train' is not the official one \(md5 differs\)"):
        Cifar100LT().load(tmp_path)


def lay_out(folder: Path, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Write files as CIFAR-10's, and let torchvision's list name their sums: the real ones may not be here."""
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    listed = [[name, hashlib.md5(content).hexdigest()] for name, content in contents.items()]
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "train_list", [row for row in listed if row[0] != "test_batch"])
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "test_list", [row for row in listed if row[0] == "test_batch"])


def test_files_of_cifar10_are_joined_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: Parts) -> None:
    assert isinstance(digits.train, TensorImages)
    rows = digits.train.pixels[:6].repeat(1, 3, 4, 4).reshape(6, 3072).numpy()  # real digits, tiled to CIFAR's size
    labels = digits.train.labels[:6].tolist()
    parts = {"data_batch_1": slice(0, 2), "data_batch_2": slice(2, 5), "test_batch": slice(5, 6)}
    contents = {name: pickle.dumps({"data": rows[part], "labels": labels[part]}) for name, part in parts.items()}
    lay_out(tmp_path / "cifar-10-batches-py", contents, monkeypatch)
    loaded = Cifar10LT().load(tmp_path)
    assert isinstance(loaded.train, TensorImages)
    assert loaded.train.labels.tolist() == labels[:5] and loaded.test.labels.tolist() == labels[5:]
    assert torch.equal(loaded.train.pixels, torch.from_numpy(rows[:5]).view(5, 3, 32, 32))


def test_file_that_cannot_be_unpickled_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path / "cifar-10-batches-py", {"data_batch_1": b"\x80\x04no", "test_batch": b""}, monkeypatch)
    with pytest.raises(UserError, match=r"damaged file: '.*data_batch_1' cannot be read"):
        Cifar10LT().load(tmp_path)


def test_failed_download_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", refuse)
    with pytest.raises(UserError, match="cifar10-lt cannot be downloaded: no route to host"):
        Cifar10LT().load(tmp_path / "new", download=True)


def test_torchvision_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(UserError, match="torchvision cannot be used here .*`ltbench doctor`"):
        Cifar10LT().load(tmp_path)


def test_protocols() -> None:
    for dataset in (Cifar10LT, Cifar100LT):
        smoke, quick, common = (dataset.protocols[name] for name in ("smoke", "quick", "common"))
        assert (smoke.epochs, smoke.per_class) == (2, 10)
        assert (quick.epochs, quick.schedule, quick.lr, quick.weight_decay) == (16, "one_cycle", 0.2, 5e-4)
        assert (common.epochs, common.schedule, common.lr, common.weight_decay) == (200, "cosine", 0.1, 5e-4)
        assert common.warmup * common.epochs == 5
        assert {protocol.backbone for protocol in (smoke, quick, common)} == {"resnet32"}
        assert dataset.protocols["tuned"].backbone == "timm:tf_efficientnet_lite0"
        assert {protocol.augmentation for protocol in dataset.protocols.values()} == {("crop", "flip")}
