from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets

from ltbench.data.longtail import long_tailed_counts
from ltbench.data.parts import TensorImages
from ltbench.data.svhn import SvhnLT
from ltbench.data.task_data import load_task_data
from ltbench.errors import UserError
from ltbench.terms.task import Task
from tests.support.list_factory import md5_of, write_svhn

assert SvhnLT.published is not None
OFFICIAL = dict(torchvision.datasets.SVHN.split_list)
SMALL = np.array(SvhnLT.published.train) // 100  # 49, 138, 105, ... images


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    train = generator.permutation(np.repeat(np.arange(10), SMALL))
    return write_svhn(tmp_path_factory.mktemp("data"), train, generator.permutation(np.repeat(np.arange(10), 3)))


@pytest.fixture(autouse=True)
def official(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision's list name the sums of the fake files."""
    list_as_official(root, monkeypatch)


def list_as_official(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {part: f"{part}_32x32.mat" for part in ("train", "test")}
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list",
                        {part: ["", name, md5_of(root / "svhn" / name)] for part, name in names.items()})


class Small(SvhnLT):
    max_per_class = int(SMALL.min())


def test_reads_the_files(root: Path) -> None:
    for where in (root, root / "svhn"):
        parts = SvhnLT().load(where)
        assert isinstance(parts.train, TensorImages) and parts.train.pixels.shape == (SMALL.sum(), 3, 32, 32)
        assert torch.bincount(parts.train.labels).tolist() == SMALL.tolist()  # the files' "10" is the digit 0
        assert torch.bincount(parts.test.labels).tolist() == [3] * 10


def public_construction(digits: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Return kept positions and labels as two public codes make them: labels are written by the counts that were asked for."""
    asked = [int(len(digits) / 10 * (1 / ratio) ** (k / 9)) for k in range(10)]
    kept = np.concatenate([np.flatnonzero(digits == k)[:count] for k, count in enumerate(asked)])
    return kept, np.repeat(np.arange(10), asked)[:len(kept)]


@pytest.mark.parametrize("ratio", [1.0, 10.0, 45.0])
def test_a_label_is_the_images_own(root: Path, ratio: float) -> None:
    dataset = Small()
    parts = dataset.load(root)
    assert isinstance(parts.train, TensorImages)
    data = load_task_data(dataset, parts, Task("svhn-lt", ratio), None)
    shown = parts.train.pixels[data.indices][:, 0, 0, 0].long() // 10  # what the image says
    assert torch.equal(shown, data.labels)
    assert torch.bincount(data.labels, minlength=10).tolist() == long_tailed_counts(10, int(SMALL.min()), ratio)
    assert (data.class_counts <= torch.from_numpy(SMALL)).all()


def test_the_public_construction_would_fail_here(root: Path) -> None:
    parts = SvhnLT().load(root)
    assert isinstance(parts.train, TensorImages)
    kept, labels = public_construction(parts.train.labels.numpy(), 100.0)
    wrong = (parts.train.pixels[torch.from_numpy(kept)][:, 0, 0, 0].numpy() // 10 != labels).mean()
    assert wrong > 0.4  # 73 images of a 0 are asked for, 49 are there: every later class is shifted


@pytest.mark.parametrize("imbalance", ["exp", "step"])
@pytest.mark.parametrize("ratio", [1.0, 2.0, 50.0, 100.0, 200.0])
def test_no_class_asks_for_more_than_it_has(ratio: float, imbalance: str) -> None:
    assert SvhnLT.published is not None
    counts = long_tailed_counts(10, SvhnLT.max_per_class, ratio, imbalance)  # type: ignore[arg-type]
    assert all(asked <= there for asked, there in zip(counts, SvhnLT.published.train, strict=True))


def test_published_totals() -> None:
    assert SvhnLT.published is not None
    assert (sum(SvhnLT.published.train), sum(SvhnLT.published.test)) == (73_257, 26_032)
    assert min(SvhnLT.published.train) == SvhnLT.max_per_class


def test_files_of_somebody_else_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", OFFICIAL)
    assert [OFFICIAL[part][1] for part in ("train", "test")] == ["train_32x32.mat", "test_32x32.mat"]
    with pytest.raises(UserError, match=r"damaged file: '.*train_32x32.mat' is not the official one \(md5 differs\)"):
        SvhnLT().load(root)


def test_damaged_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "svhn").mkdir()
    for part in ("train", "test"):
        (tmp_path / "svhn" / f"{part}_32x32.mat").write_bytes(b"cut off")
    list_as_official(tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"svhn-lt has a damaged file: '.*train_32x32.mat' cannot be read \(") as caught:
        SvhnLT().load(tmp_path)
    assert "\n" not in str(caught.value)


def test_labels_out_of_range_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list_as_official(write_svhn(tmp_path, np.array([3, 11]), np.array([1])), monkeypatch)
    with pytest.raises(UserError, match="y is not from 1 to 10"):
        SvhnLT().load(tmp_path)


def test_failed_download_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.datasets.SVHN, "download", refuse)
    with pytest.raises(UserError, match="svhn-lt cannot be downloaded: no route to host"):
        SvhnLT().load(tmp_path / "new", download=True)
