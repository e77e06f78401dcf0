"""Every mode in which Pillow opens files, with values worked out by hand."""

from __future__ import annotations

import functools
import io
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltbench.data.arrays import Bytes
from ltbench.data.decoding import read_picture
from ltbench.errors import UserError
from tests.support.tiffs import tiff

Color = tuple[int, int, int]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def plain(mode: str, value: object, kind: str, **options: object) -> bytes:
    """Return a file of 8 x 8 pixels of one value."""
    return saved(Image.new(mode, (8, 8), value), kind, **options)  # type: ignore[arg-type]


def palette(mode: str, kind: str, **options: object) -> bytes:
    """Return a file whose pixels all have number 2 of three colors."""
    image = Image.new(mode, (8, 8), 2 if mode == "P" else (2, 90))
    image.putpalette([9, 9, 9, 8, 8, 8, 10, 20, 30])
    return saved(image, kind, **options)


def sixteen(*values: int, order: str = "<") -> bytes:
    return struct.pack(f"{order}{len(values)}H", *values)


def fits(pixel: bytes) -> bytes:
    cards = ("SIMPLE  = T", "BITPIX  = 16", "NAXIS   = 2", "NAXIS1  = 1", "NAXIS2  = 1", "END")
    return "".join(card.ljust(80) for card in cards).ljust(2880).encode() + pixel


def decoded(content: bytes) -> Bytes:
    picture = read_picture(np.frombuffer(content, np.uint8), "x")
    return picture.cut(0, 0, *picture.size).permute(1, 2, 0).numpy()


def gray(*values: int) -> list[Color]:
    return [(value, value, value) for value in values]


# What is opened, the mode in which Pillow does so, and its first pixels.
CASES: dict[str, tuple[Callable[[], bytes], str, list[Color]]] = {
    "black and white": (lambda: plain("1", 1, "PNG"), "1", gray(255)),
    "white is zero, one bit": (lambda: tiff(b"\x40", 8, bits=[1], photometric=0), "1", gray(255, 0)),
    "gray": (lambda: plain("L", 77, "PNG"), "L", gray(77)),
    "gray of 2 bits": (lambda: tiff(b"\x1b", 4, bits=[2], photometric=1), "L", gray(0, 85, 170, 255)),
    "gray of 4 bits": (lambda: tiff(b"\x0f\x3c", 4, bits=[4], photometric=1), "L", gray(0, 255, 51, 204)),
    "white is zero": (lambda: tiff(bytes([0, 255, 55, 1]), 4, bits=[8], photometric=0), "L", gray(255, 0, 200, 254)),
    "PGM with white at 100": (lambda: b"P5 2 1 100\n" + bytes([50, 100]), "L", gray(128, 255)),
    "alpha": (lambda: plain("RGBA", (10, 20, 30, 0), "PNG"), "RGBA", [(10, 20, 30)]),
    "alpha in a WebP": (lambda: plain("RGBA", (10, 20, 30, 90), "WEBP", lossless=True), "RGBA", [(10, 20, 30)]),
    "gray and alpha": (lambda: plain("LA", (77, 0), "PNG"), "LA", gray(77)),
    "gray times alpha": (lambda: tiff(bytes([50, 100, 7, 255]), 2, bits=[8, 8], photometric=1, extra=1), "La", gray(127, 7)),
    "colors times alpha": (lambda: tiff(bytes([50, 20, 0, 100]), 1, bits=[8] * 4, photometric=2, extra=1), "RGBA",
                           [(127, 51, 0)]),
    "palette": (lambda: palette("P", "PNG"), "P", [(10, 20, 30)]),
    "a transparent color": (lambda: palette("P", "PNG", transparency=2), "P", [(10, 20, 30)]),
    "transparency by color": (lambda: palette("P", "PNG", transparency=bytes([255, 9, 0])), "P", [(10, 20, 30)]),
    "a transparent gray": (lambda: plain("L", 77, "PNG", transparency=77), "L", gray(77)),
    "palette and alpha": (lambda: palette("PA", "TIFF"), "PA", [(10, 20, 30)]),
    "GIF": (lambda: palette("P", "GIF", transparency=2), "P", [(10, 20, 30)]),
    "colors": (lambda: plain("RGB", (10, 20, 30), "PNG"), "RGB", [(10, 20, 30)]),
    "colors of 16 bits": (lambda: tiff(sixteen(256, 65535, 511), 1, bits=[16] * 3, photometric=2), "RGB", [(1, 255, 1)]),
    "the upper 8 of 16 bits": (lambda: tiff(sixteen(383, 8191, 8192), 1, bits=[16] * 3, photometric=2), "RGB", [(1, 31, 32)]),
    "colors of 16 bits in a PPM, rounded": (lambda: b"P6 1 1 65535\n" + sixteen(383, 8191, 8192, order=">"), "RGB",
                                            [(1, 32, 32)]),  # 8,191 / 257 = 31.9
    "PPM with white at 1,000": (lambda: b"P6 1 1 1000\n" + sixteen(0, 500, 1000, order=">"), "RGB", [(0, 128, 255)]),
    "CMYK": (lambda: plain("CMYK", (0, 128, 0, 0), "TIFF"), "CMYK", [(255, 127, 255)]),
    "CMYK as Adobe writes it": (lambda: plain("CMYK", (0, 0, 0, 155), "JPEG", quality=100), "CMYK", gray(100)),
    "YCbCr": (lambda: plain("YCbCr", (76, 85, 255), "TIFF"), "YCbCr", [(254, 0, 0)]),
    "LAB": (lambda: tiff(bytes([255, 0, 0]), 1, bits=[8] * 3, photometric=8), "LAB", gray(255)),
    "gray of 16 bits": (lambda: saved(Image.fromarray(np.array([[255, 256, 300, 65535]], np.uint16)), "PNG"), "I;16",
                        gray(0, 1, 1, 255)),
    "16 bits, JPEG 2000": (lambda: saved(Image.fromarray(np.full((8, 8), 0x3412, np.uint16)), "JPEG2000"), "I;16", gray(0x34)),
    "16 bits, TIFF": (lambda: tiff(sixteen(300, 65535), 2, bits=[16], photometric=1), "I;16", gray(1, 255)),
    "16 bits, white is zero": (lambda: tiff(sixteen(300, 65535), 2, bits=[16], photometric=0), "I;16", gray(254, 0)),
    "16 bits, compressed": (lambda: plain("I;16", 0x3412, "TIFF", compression="tiff_lzw"), "I;16", gray(0x34)),
    "12 bits": (lambda: tiff(bytes([0x80, 0x0F, 0xFF]), 2, bits=[12], photometric=1), "I;16", gray(128, 255)),
    "16 bits, high byte first": (lambda: tiff(sixteen(300, 65535, order=">"), 2, bits=[16], photometric=1, order=">"), "I;16B",
                                 gray(1, 255)),
    "PGM of 16 bits": (lambda: b"P5 3 1 65535\n" + sixteen(255, 300, 65535, order=">"), "I", gray(0, 1, 255)),
    "PGM with white at 1,000": (lambda: b"P5 2 1 1000\n" + sixteen(500, 1000, order=">"), "I", gray(128, 255)),
}

REFUSED: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "numbers of 32 bits": (lambda: plain("I", 3000, "TIFF"), "I", "TIFF"),
    "numbers with a sign": (lambda: tiff(sixteen(300, 65535), 2, bits=[16], photometric=1, signed=True), "I", "TIFF"),
    "8 bits with a sign": (lambda: tiff(bytes([0, 127, 128, 255]), 4, bits=[8], photometric=1, signed=True), "L with a sign",
                           "TIFF"),
    "8 bits with a sign, rewritten": (lambda: plain("L", 200, "TIFF", tiffinfo={339: 2}), "L with a sign", "TIFF"),
    **{f"{mode} with a sign": (functools.partial(plain, mode, value, "JPEG2000", signed=True), f"{mode} with a sign", "JPEG2000")
       for mode, value in (("L", 200), ("I;16", 40_000), ("LA", (200, 255)), ("RGB", (200, 10, 128)),
                           ("RGBA", (200, 10, 128, 255)), ("CMYK", (200, 10, 128, 0)))},
    "a bare JPEG 2000 with a sign": (lambda: plain("L", 200, "JPEG2000", signed=True, no_jp2=True), "L with a sign", "JPEG2000"),
    "fractions": (lambda: plain("F", 0.5, "TIFF"), "F", "TIFF"),
    "fractions in a PFM": (lambda: plain("F", 0.5, "PPM"), "F", "PPM"),
    "measurements": (lambda: fits(sixteen(300)), "I;16", "FITS"),
}


@pytest.mark.parametrize("case", CASES)
def test_every_mode_is_scaled(case: str) -> None:
    make, mode, expected = CASES[case]
    content = make()
    with Image.open(io.BytesIO(content)) as opened:
        opened.load()
        assert opened.mode == mode
    found = decoded(content)[0, :len(expected)].astype(int)
    assert np.abs(found - expected).max() <= (mode == "LAB")  # whose white LittleCMS rounds


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_known_white_is_refused(case: str) -> None:
    make, mode, kind = REFUSED[case]
    with pytest.raises(UserError) as refused:
        decoded(make())
    assert str(refused.value) == (f"image 'x' cannot be read (mode {mode} of a file of format {kind} does not say which gray "
                                  "values are black and white; save it as a PNG of 8 or 16 bits)")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "CMYK", "L"])
def test_a_jpeg_2000_of_more_than_8_bits_is_refused(mode: str) -> None:
    content = saved(Image.new(mode, (8, 8)), "JPEG2000")
    assert decoded(content).shape == (8, 8, 3)
    for bits in (9, 12, 16):  # as its header says; Pillow writes none such
        start = content.index(b"\xff\x4f\xff\x51") + 42
        wide = bytearray(content)
        wide[start:start + 3 * len(mode):3] = bytes([bits - 1]) * len(mode)
        with pytest.raises(UserError) as refused:
            decoded(bytes(wide))
        assert str(refused.value) == (f"image 'x' cannot be read (mode {mode} of a JPEG 2000 of {bits} bits would have its white "
                                      "as black; save it as a PNG)")


def test_the_table_of_the_docs_has_these_modes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "input-pipeline.md").read_text(encoding="utf-8")
    table = page.split("| Pillow's mode |")[1].split("\n\n")[0]
    named = {mode for row in table.splitlines()[2:] for mode in re.findall("`([^`]+)`", row.split("|")[1])}
    assert named == {mode.split()[0] for _, mode, _ in (*CASES.values(), *REFUSED.values())}


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_the_first_of_several_pictures_is_seen(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue", "lime")]
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "MPO" else {}
    found = decoded(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert found.shape == (16, 16, 3) and np.abs(found.astype(int) - [255, 0, 0]).max() <= 1


@pytest.mark.parametrize(("kind", "turns"), [("JPEG", False), ("PNG", False), ("WEBP", False), ("TIFF", True)])
def test_a_note_to_turn_is_not_followed_but_a_tiffs_own(kind: str, turns: bool) -> None:
    """As with torchvision: a TIFF's orientation belongs to its pixels, that of other files to what a camera noted beside them."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6)).convert("RGB")
    found = decoded(saved(image, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {})))
    assert found.shape == ((6, 4, 3) if turns else (4, 6, 3))
    if kind != "JPEG":
        assert np.array_equal(found, np.rot90(np.asarray(image), -1) if turns else np.asarray(image))


@pytest.mark.parametrize("kind", ["AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP"])
def test_half_a_file_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    content = saved(Image.fromarray(noise), kind)
    assert decoded(content).shape == (40, 40, 3)
    with pytest.raises(UserError, match=r"^image 'x' cannot be read \([^\n]+\)$"):
        decoded(content[:len(content) // 2])


def test_a_program_is_not_run() -> None:
    with pytest.raises(UserError, match=r"^image 'x' cannot be read \(an EPS is a program, which ltbench does not run\)$"):
        decoded(plain("RGB", (1, 2, 3), "EPS"))


def test_awkward_files(data_root: Path) -> None:
    """One ramp as PNG, PGM and TIFF: the same pixels, or a refusal by mode."""
    folder = data_root / "awkward" / "pgm16"
    if not folder.is_dir():
        pytest.skip("LTBENCH_DATA holds no awkward/pgm16")
    expected = decoded((folder / "c0_0.png").read_bytes())
    assert np.ptp(expected) > 200
    assert np.array_equal(decoded((folder / "c0_0.pgm").read_bytes()), expected)
    for name, mode in (("c0_0_i32.tif", "I"), ("c0_0_f32.tif", "F")):
        with pytest.raises(UserError, match=rf"\(mode {mode} of a file of format TIFF "):
            decoded((folder / name).read_bytes())
