from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltbench.data import decoding
from ltbench.data.arrays import Bytes
from ltbench.data.decoding import Picture, cut_middle, cut_window, read_picture
from ltbench.data.randomness import uniform
from ltbench.data.windows import DRAWS, random_window
from ltbench.errors import UserError


@pytest.fixture(params=["Pillow", "simplejpeg"], autouse=True)
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "Pillow":
        monkeypatch.setattr(decoding, "fast_decoder", lambda: None)
    else:
        pytest.importorskip("simplejpeg")
    yield request.param


def saved(image: Image.Image, kind: str, **options: object) -> Bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)  # type: ignore[arg-type]
    return np.frombuffer(stream.getvalue(), np.uint8)


def whole(content: Bytes, name: str = "x.jpg") -> Bytes:
    """Return all pixels that ltbench decodes, shape (height, width, 3)."""
    picture = read_picture(content, name)
    return picture.cut(0, 0, *picture.size).permute(1, 2, 0).numpy()


def scene(width: int = 60, height: int = 44) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def by_pillow(content: Bytes) -> Bytes:
    return np.asarray(Image.open(io.BytesIO(content.tobytes())).convert("RGB"))


def photos(data_root: Path) -> list[Path]:
    if not (data_root / "imagenet-samples").is_dir():
        pytest.skip("LTBENCH_DATA holds no imagenet-samples")
    return sorted((data_root / "imagenet-samples").glob("*.JPEG"))


def test_photos_are_pillows_to_the_bit(data_root: Path) -> None:
    for path in photos(data_root):
        content = np.fromfile(path, np.uint8)
        assert np.array_equal(whole(content), by_pillow(content)), path


SPECIAL: dict[str, Callable[[], Bytes]] = {
    "4:4:4": lambda: saved(scene(), "JPEG", quality=95, subsampling=0),
    "4:2:2": lambda: saved(scene(), "JPEG", subsampling=1),
    "4:2:0, odd sides": lambda: saved(scene(33, 17), "JPEG", subsampling=2),
    "one pixel": lambda: saved(scene(1, 1), "JPEG"),
    "progressive": lambda: saved(scene(), "JPEG", progressive=True),
    "stored as RGB": lambda: saved(scene(), "JPEG", keep_rgb=True),
    "restart markers": lambda: saved(scene(), "JPEG", restart_marker_rows=1),
    "gray": lambda: saved(scene().convert("L"), "JPEG"),
    "CMYK": lambda: saved(scene().convert("CMYK"), "JPEG"),
    "EXIF turned": lambda: saved(scene(), "JPEG", exif=turned()),
    "bytes behind": lambda: np.append(saved(scene(), "JPEG"), np.zeros(40, np.uint8)),
    "PNG": lambda: saved(scene(), "PNG"),
    "palette": lambda: saved(scene().convert("P"), "PNG"),
    "alpha": lambda: saved(scene().convert("RGBA"), "PNG"),
    "WebP": lambda: saved(scene(), "WEBP", quality=80),
    "named JPEG, is GIF": lambda: saved(scene().convert("P"), "GIF"),
}


def test_an_image_of_too_many_pixels_is_refused() -> None:
    """The first is one of which Pillow warns, the second one that Pillow refuses: in both only a header is read."""
    for side in (9460, 14000):
        content = saved(Image.new("1", (side, side)), "PNG")
        with pytest.raises(UserError, match=r"^image 'x.jpg' cannot be read \(it has more than 89,478,485 pixels\)$"):
            whole(content)


def test_what_pillow_forgives_is_not_told_each_time(recwarn: pytest.WarningsRecorder) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\0"  # a list of 255 entries that is not there
    content = saved(scene(), "MPO", exif=exif, save_all=True, append_images=[scene()])
    whole(content)
    assert not recwarn.list


def test_gray_values_of_16_bits_are_scaled() -> None:
    """Pillow would cut 300 off at 255, and leave an image of such values white."""
    values = np.arange(0, 60000, 100, dtype=np.uint16).reshape(20, 30)
    found = whole(saved(Image.fromarray(values), "PNG"))
    assert np.array_equal(found, np.repeat((values // 256).astype(np.uint8)[..., None], 3, axis=2))


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn, which nobody's training follows
    return exif


@pytest.mark.parametrize("kind", SPECIAL)
def test_every_kind_of_file_is_pillows(kind: str) -> None:
    content = SPECIAL[kind]()
    assert np.array_equal(whole(content), by_pillow(content))


def test_damaged_files_are_refused_or_read_as_pillow_does() -> None:
    intact = saved(scene(120, 90), "JPEG", quality=90)
    rng = np.random.default_rng(0)
    changed = [intact[:cut] for cut in range(0, len(intact), 97)]
    for _ in range(60):
        broken = intact.copy()
        broken[rng.integers(200, len(intact), 3)] = rng.integers(0, 256, 3)
        changed.append(broken)
    refused = 0
    for content in changed:
        try:
            expected = by_pillow(content)
        except OSError:
            refused += 1
            with pytest.raises(UserError, match=r"^image 'x.jpg' cannot be read \([^\n<]*\)$"):
                whole(content)
        else:
            assert np.array_equal(whole(content), expected)
    assert 20 < refused < len(changed) - 20


def test_windows_and_middles_are_pillows_but_for_a_gray_level(data_root: Path) -> None:
    files = photos(data_root)[::4]
    drawn = uniform(1, 0, np.arange(len(files)), DRAWS)
    differ = []
    for path, numbers in zip(files, drawn, strict=True):
        image = Image.open(path).convert("RGB")
        picture = read_picture(np.fromfile(path, np.uint8), path.name)
        left, top, width, height = random_window(numbers, *image.size)
        window = image.crop((left, top, left + width, top + height)).resize((224, 224), Image.Resampling.BILINEAR)
        scale = 256 / min(image.size)
        size = tuple(256 if side == min(image.size) else int(side * scale + 1e-9) for side in image.size)
        left, top = (round((side - 224) / 2) for side in size)
        middle = image.resize(size, Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))  # type: ignore[arg-type]
        for ours, theirs in ((cut_window(picture, numbers, 224), window), (cut_middle(picture, 256, 224), middle)):
            error = np.abs(ours.permute(1, 2, 0).numpy().astype(int) - np.asarray(theirs))
            assert error.max() <= 1
            differ.append((error > 0).mean())
    assert 0 < np.mean(differ) < 0.05


def test_a_window_does_not_look_past_its_edge() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    numbers = np.full(DRAWS, 0.5)
    left, top, width, height = random_window(numbers, 60, 40)
    pixels[top:top + height, left:left + width] = 200
    for held in (pixels, Image.fromarray(pixels)):
        assert (cut_window(Picture(held), numbers, 8) == 200).all()


@pytest.mark.parametrize(("crop_mode", "box"), [("center", (48, 36)), ("squash", (36, 36))])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_middles_are_pillows(interpolation: str, crop_mode: str, box: tuple[int, int]) -> None:
    content = saved(scene(80, 60), "PNG")
    scaled = Image.open(io.BytesIO(content.tobytes())).resize(box, Image.Resampling[interpolation.upper()])
    left, top = (box[0] - 32) // 2, (box[1] - 32) // 2
    expected = np.asarray(scaled.crop((left, top, left + 32, top + 32)), np.int64)
    found = cut_middle(read_picture(content, "x.png"), 36, 32, interpolation, crop_mode).permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() <= 1
