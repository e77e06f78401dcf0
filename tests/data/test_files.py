from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from ltbench.data.files import FileImages
from ltbench.data.parts import Parts, TensorImages
from ltbench.data.paths import Paths
from ltbench.data.randomness import uniform
from ltbench.data.windows import DRAWS, random_window
from ltbench.errors import UserError
from tests.support.list_factory import write_jpegs


def source(folder: Path, names: list[str], size: int = 224, resized: int = 256) -> FileImages:
    return FileImages(Paths(folder, [name.encode() for name in names]), torch.arange(len(names)), size, resized)


@pytest.fixture(scope="module")
def photos(data_root: Path) -> FileImages:
    folder = data_root / "imagenet-samples"
    if not folder.is_dir():
        pytest.skip("LTBENCH_DATA holds no imagenet-samples")
    names = sorted(path.name for path in folder.glob("*.JPEG"))
    return source(folder, names[::12])


def test_middles_are_torchvisions(photos: FileImages) -> None:
    pipeline = v2.Compose([v2.PILToTensor(), v2.Resize(256), v2.CenterCrop(224)])
    expected = torch.stack([pipeline(Image.open(path).convert("RGB")) for path in photos.paths])
    assert torch.equal(photos.fetch(torch.arange(len(photos.paths))), expected)


def test_windows_are_torchvisions(photos: FileImages) -> None:
    indices = np.arange(len(photos.paths))
    drawn = uniform(1, 0, indices, DRAWS)
    plain, windows = photos.decode(indices, [None, drawn])
    assert torch.equal(plain, photos.fetch(torch.from_numpy(indices)))
    for row, path in enumerate(photos.paths):
        image = Image.open(path).convert("RGB")
        left, top, width, height = random_window(drawn[row], *image.size)
        expected = TF.resized_crop(TF.pil_to_tensor(image), top, left, height, width, [224, 224])
        assert torch.equal(windows[row], expected)


def test_every_photo_can_be_read(photos: FileImages, data_root: Path) -> None:
    names = sorted(path.name for path in (data_root / "imagenet-samples").glob("*.JPEG"))
    modes = {name: Image.open(data_root / "imagenet-samples" / name).mode for name in names}
    assert "L" in modes.values()  # real files bring gray ones
    gray = [name for name in names if modes[name] == "L"]
    pixels = source(data_root / "imagenet-samples", gray[:2]).fetch(torch.arange(len(gray[:2])))
    assert torch.equal(pixels[:, 0], pixels[:, 1]) and torch.equal(pixels[:, 0], pixels[:, 2])


def test_digits_as_jpegs(tmp_path: Path, digits: Parts) -> None:
    assert isinstance(digits.train, TensorImages)
    images = digits.train.pixels[:5, 0].repeat_interleave(8, 1).repeat_interleave(8, 2).numpy()  # 64 x 64
    files = source(tmp_path, write_jpegs(tmp_path, images), size=64, resized=64)
    pixels = files.fetch(torch.tensor([3, 0]))
    assert pixels.shape == (2, 3, 64, 64) and pixels.dtype == torch.uint8
    error = (pixels[:, 0].int() - torch.from_numpy(images[[3, 0]]).int()).abs()
    assert error.float().mean() < 4  # what JPEG loses


def test_cmyk_and_palettes_become_rgb(tmp_path: Path) -> None:
    red = Image.new("RGB", (40, 30), (200, 30, 60))
    red.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    red.convert("P").save(tmp_path / "palette.png")
    red.save(tmp_path / "rgb.png")
    cmyk, palette, plain = source(tmp_path, ["cmyk.jpg", "palette.png", "rgb.png"], 24, 24).fetch(torch.arange(3))
    assert (plain[:, 0, 0].tolist()) == [200, 30, 60]
    for pixels in (cmyk, palette):
        assert (pixels.int() - plain.int()).abs().max() <= 30  # a palette has 6 levels of a color


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256], [32768, 65535, 257], [511, 512, 4096]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    pixels = source(tmp_path, ["deep.png"], 3, 3).fetch(torch.tensor([0]))[0]
    assert pixels.tolist() == [[[0, 0, 1], [128, 255, 1], [1, 2, 16]]] * 3  # each divided by 256; Pillow alone says 255 for most


def test_photos_keep_the_orientation_that_they_are_stored_in(tmp_path: Path) -> None:
    """As torchvision reads them: a camera's note that says how to turn an image is not followed."""
    left = np.zeros((8, 8, 3), np.uint8)
    left[:, :4] = 255
    note = Image.Exif()
    note[0x0112] = 6  # rotate by 90 degrees to show
    Image.fromarray(left).save(tmp_path / "turned.jpg", quality=100, exif=note)
    pixels = source(tmp_path, ["turned.jpg"], 8, 8).fetch(torch.tensor([0]))[0]
    assert pixels[:, :, :4].min() > 200 and pixels[:, :, 4:].max() < 55


def test_some_of_the_images(tmp_path: Path) -> None:
    names = write_jpegs(tmp_path, np.arange(3, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2) * 100)
    whole = source(tmp_path, names, 8, 8)
    some = whole.take(torch.tensor([2, 0]))
    assert some.labels.tolist() == [2, 0] and torch.equal(some.fetch(torch.arange(2)), whole.fetch(torch.tensor([2, 0])))
    assert some.fingerprint not in (whole.fingerprint, whole.take(torch.tensor([0, 2])).fingerprint)


def test_what_files_hold_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    files = source(tmp_path, ["1.jpg"])
    assert len({files.fingerprint, *(dataclasses.replace(files, content=content).fingerprint for content in "ab")}) == 3


def test_missing_and_damaged_files_are_named_in_one_line(tmp_path: Path) -> None:
    names = write_jpegs(tmp_path, np.random.default_rng(0).integers(0, 256, (1, 64, 64), dtype=np.uint8))
    content = (tmp_path / names[0]).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[:len(content) // 2])
    (tmp_path / "text.jpg").write_text("no image")
    files = source(tmp_path, ["none.jpg", "cut.jpg", "text.jpg"], 32, 32)
    for index, words in enumerate([r"image '.*none.jpg' is not there", r"image '.*cut.jpg' cannot be read \(OSError: .*truncated",
                                   r"image '.*text.jpg' cannot be read \(UnidentifiedImageError"]):
        with pytest.raises(UserError, match=words) as caught:
            files.fetch(torch.tensor([index]))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("end", [False, True])
def test_only_files_are_images(tmp_path: Path, end: bool) -> None:
    """A pipe that nobody writes to would be waited for, and a device never ends."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "folder.jpg").mkdir()
    files = source(tmp_path, ["pipe.jpg", "zero.jpg", "folder.jpg"], 32, 32)
    for index, words in enumerate([r"image '.*pipe.jpg' is no file", r"image '.*zero.jpg' is no file",
                                   r"image '.*folder.jpg' cannot be read \(IsADirectoryError: Is a directory\)"]):
        with pytest.raises(UserError, match=f"^{words}$"):
            files.read_end(index) if end else files.read(index)


def test_the_fingerprint_is_of_names_and_labels(tmp_path: Path) -> None:
    def fingerprint(names: list[bytes], labels: list[int], folder: Path = tmp_path) -> str:
        return FileImages(Paths(folder, names), torch.tensor(labels), 8, 8).fingerprint

    first = fingerprint([b"1", b"2"], [0, 1])
    assert first == fingerprint([b"1", b"2"], [0, 1], tmp_path / "elsewhere")
    others = fingerprint([b"1", b"2"], [1, 0]), fingerprint([b"1", b"3"], [0, 1]), fingerprint([b"2", b"1"], [0, 1])
    assert len({first, *others}) == 4


def test_both_ends_are_looked_for(tmp_path: Path) -> None:
    names = ["0.jpg", "1.jpg", "2.jpg"]
    for name in names:
        (tmp_path / name).touch()
    files = source(tmp_path, names)
    files.require_ends()
    (tmp_path / "1.jpg").unlink()
    files.require_ends()  # not every file: there may be a million
    for name in ("2.jpg", "0.jpg"):
        (tmp_path / name).unlink()
        with pytest.raises(UserError, match=rf"^image '.*{name}' is not there; say where [^\n]*--data-root or LTBENCH_DATA$"):
            files.require_ends()


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"labels must be int64 of shape \(2,\)"):
        FileImages(Paths(tmp_path, [b"1", b"2"]), torch.arange(3), 8, 8)
    with pytest.raises(ValueError, match="size must be 1 to 7, got 8"):
        FileImages(Paths(tmp_path, [b"1"]), torch.arange(1), 8, 7)
