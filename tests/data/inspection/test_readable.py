from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ltbench.data.files import FileImages
from ltbench.data.inspection.readable import look, unreadable
from ltbench.data.lists import read_list
from tests.support.tiny import Tiny, write_tiny


@pytest.fixture
def damaged(tmp_path: Path) -> FileImages:
    """Return the training part with a truncated, an empty and a missing image, and a name that is no UTF-8."""
    folder = write_tiny(tmp_path)
    content = (folder / "train" / "1.jpg").read_bytes()
    (folder / "train" / "1.jpg").write_bytes(content[:len(content) // 2])
    (folder / "train" / "2.jpg").write_bytes(b"")
    (folder / "train" / "4.jpg").unlink()
    (folder / "train" / "5.jpg").unlink()
    (folder / "train" / "5.jpg").mkdir()
    with (folder / "train.txt").open("ab") as stream:
        stream.write(b"train/caf\xe9.jpg 0\n")
    source = Tiny().load(tmp_path).train
    assert isinstance(source, FileImages)
    return source


@pytest.mark.parametrize("workers", [0, 2])
def test_every_image_that_cannot_be_decoded_is_named(damaged: FileImages, workers: int) -> None:
    tried: list[int] = []
    before = torch.get_rng_state()
    found = unreadable(damaged, workers, tried.append)
    assert torch.equal(torch.get_rng_state(), before)
    assert [index for index, _, _ in found] == [1, 2, 4, 5, 8] and sum(tried) == 9
    assert [path for _, path, _ in found] == [damaged.paths[index] for index in (1, 2, 4, 5, 8)]
    for index, path, reason in found:
        assert repr(path) in reason and "\n" not in reason, index
    assert "cannot be read" in found[0][2] and found[2][2].endswith("is not there")
    assert r"caf\udce9.jpg' is not there" in found[4][2]


def test_real_files_are_all_readable(data_root: Path) -> None:
    file = data_root / "imagenet-samples" / "list.txt"
    if not file.is_file():
        pytest.skip("LTBENCH_DATA holds no imagenet-samples")
    source = FileImages(*read_list(file, 1000), size=224, resized=256)
    assert look(source).problems == unreadable(source, 0) == []


def test_without_opening_a_file_its_size_is_known(damaged: FileImages) -> None:
    seen = look(damaged)
    assert seen.found == 6
    assert [int(seen.sizes[index]) for index in (2, 4, 5, 8)] == [0, -1, -1, -1]
    assert seen.sizes[0] == Path(damaged.paths[0]).stat().st_size
    assert [(index, reason.rpartition("' ")[2]) for index, _, reason in seen.problems] == [
        (2, "is empty"), (4, "is not there"), (5, "is no file"), (8, "is not there")]
