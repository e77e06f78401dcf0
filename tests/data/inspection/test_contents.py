from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from ltbench.data.cifar import Cifar100LT
from ltbench.data.files import FileImages
from ltbench.data.inspection import contents
from ltbench.data.inspection.contents import between_parts, digests, within_part
from ltbench.data.inspection.readable import look
from ltbench.data.parts import ImageSource, TensorImages
from tests.support.tiny import Tiny, write_tiny


def lines(sources: dict[str, ImageSource], *, full: bool = False, threads: int = 2) -> list[str]:
    sizes = {name: look(source).sizes for name, source in sources.items() if isinstance(source, FileImages)}
    return [finding.line for finding in between_parts(sources, digests(sources, sizes, threads, full=full))]


def tiny(root: Path) -> dict[str, ImageSource]:
    parts = Tiny().load(root)
    return {"train": parts.train, "test": parts.test}


@pytest.mark.parametrize("full", [False, True])
def test_a_copy_in_the_test_part_is_found(tmp_path: Path, full: bool) -> None:
    folder = write_tiny(tmp_path)
    assert lines(tiny(tmp_path), full=full) == []
    shutil.copy(folder / "train" / "3.jpg", folder / "test" / "5.jpg")
    expected = f"test image '{folder}/test/5.jpg' has the content of train image '{folder}/train/3.jpg'"
    assert lines(tiny(tmp_path), full=full) == [expected]
    # One line an image, however often the other part repeats it; one file in two lists is no copy.
    shutil.copy(folder / "train" / "3.jpg", folder / "train" / "4.jpg")
    with (folder / "test.txt").open("a") as stream:
        stream.write("train/0.jpg 0\n")
    assert lines(tiny(tmp_path), full=full) == [expected]


def test_only_files_of_one_size_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_tiny(tmp_path)
    sizes = {part: [(folder / part / f"{number}.jpg").stat().st_size for number in range(count)]
             for part, count in (("train", 8), ("test", 6))}
    read: list[int] = []
    original = contents._content_digest
    monkeypatch.setattr(contents, "_content_digest", lambda source, index: read.append(index) or original(source, index))
    lines(tiny(tmp_path))
    common = set(sizes["train"]) & set(sizes["test"])
    assert len(read) == sum(size in common for part in sizes.values() for size in part) < 14
    read.clear()
    lines(tiny(tmp_path), full=True)
    assert len(read) == 14


def test_pixels_in_memory() -> None:
    pixels = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).repeat(1, 3, 2, 2)
    train = TensorImages(pixels[[0, 1, 1, 2, 0]], torch.tensor([0, 0, 1, 1, 0]))
    test = TensorImages(pixels[[5, 2]], torch.tensor([0, 1]))
    sources: dict[str, ImageSource] = {"train": train, "test": test}
    assert lines(sources) == ["test image 1 has the content of train image 3"]
    found = digests(sources, {}, 1, full=False)
    said = within_part("train", train, found["train"])
    assert said == "train: images that repeat the content of another: 2, of another class: 1"
    assert within_part("test", test, found["test"]) is None


@pytest.mark.slow
def test_cifar100s_own_duplicates(cifar100_root: Path) -> None:
    """Compare with a set of pixel bytes, which shares no code."""
    parts = Cifar100LT().load(cifar100_root)
    trained = {image.tobytes() for image in parts.train.pixels.numpy()}
    wanted = [index for index, image in enumerate(parts.test.pixels.numpy()) if image.tobytes() in trained]
    found = lines({"train": parts.train, "test": parts.test})
    assert [int(line.split()[2]) for line in found] == wanted and len(wanted) == 10
