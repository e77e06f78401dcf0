from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ltbench.data.files import FileImages
from ltbench.data.inspection.readable import unreadable
from ltbench.data.paths import Paths


@pytest.fixture
def source(tmp_path: Path) -> FileImages:
    """Write 140 images, among them every kind of trouble."""
    colors = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    image = Image.fromarray(colors)
    names = [b"%03d.jpg" % number for number in range(140)]
    for name in names:
        image.save(tmp_path / name.decode())
    image.convert("L").save(tmp_path / "002.jpg")
    image.convert("CMYK").save(tmp_path / "003.jpg")
    for number, mode in ((4, "P"), (5, "L"), (6, "RGBA"), (7, "LA"), (8, "1")):
        image.convert(mode).save(tmp_path / f"{number:03d}.jpg", format="PNG")
    Image.fromarray(colors[..., 0].astype(np.uint16) * 257).save(tmp_path / "009.jpg", format="PNG")
    image.save(tmp_path / "010.jpg", format="WEBP")
    image.save(tmp_path / "011.jpg", format="BMP")
    os.rename(tmp_path / "012.jpg", os.fsencode(tmp_path) + b"/\xff.jpg")
    names[12] = b"\xff.jpg"
    whole = (tmp_path / "000.jpg").read_bytes()
    (tmp_path / "001.jpg").write_bytes(whole[:len(whole) // 2])
    (tmp_path / "064.jpg").write_bytes(b"")
    (tmp_path / "100.jpg").unlink()
    (tmp_path / "100.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "138.jpg").unlink()
    (tmp_path / "138.jpg").mkdir()
    (tmp_path / "139.jpg").write_text("no image", encoding="utf-8")
    return FileImages(Paths(tmp_path, names), torch.zeros(140, dtype=torch.int64), 16, 18)


@pytest.mark.parametrize("workers", [0, 2])
def test_every_bad_file_is_found_with_its_reason(source: FileImages, workers: int) -> None:
    steps: list[int] = []
    state = torch.get_rng_state()
    found = unreadable(source, workers, steps.append)
    assert [(index, Path(path).name) for index, path, _ in found] == [
        (index, f"{index:03d}.jpg") for index in (1, 64, 100, 138, 139)]
    for (_, _, reason), words in zip(found, ("truncated", "cannot identify", "is not there", "directory", "cannot identify"),
                                     strict=True):
        assert words in reason.lower() and "\n" not in reason
    assert steps == [64, 64, 12]
    assert torch.equal(torch.get_rng_state(), state)  # what is trained afterwards does not depend on the look


def test_nothing_is_wrong_with_real_photos(data_root: Path) -> None:
    folder = data_root / "imagenet-samples"
    if not folder.is_dir():
        pytest.skip("LTBENCH_DATA holds no imagenet-samples")
    names = sorted(path.name.encode() for path in folder.glob("*.JPEG"))
    assert unreadable(FileImages(Paths(folder, names), torch.zeros(len(names), dtype=torch.int64), 224, 256), 0) == []
