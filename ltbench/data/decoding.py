"""From the bytes of an image file to pixels, and from pixels to the window or the middle that a network sees."""

from __future__ import annotations

import functools
import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ltbench.data.arrays import Bytes, Floats
from ltbench.data.modes import check_jpeg2000, to_rgb
from ltbench.data.thin import enlarged_window, source_of
from ltbench.data.windows import plain_size, random_window
from ltbench.errors import UserError

_LONG = 4  # times as long as wide: rarely a photo, and the rest of it, enlarged, would be far larger than the middle


@dataclass(frozen=True)
class Picture:
    """Hold a decoded image as its decoder left it: what no window shows is not copied.

    Args:
        pixels: Pillow's image, RGB; or uint8, shape (height, width, 3).
    """

    pixels: Image.Image | Bytes

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height."""
        return self.pixels.size if isinstance(self.pixels, Image.Image) else (self.pixels.shape[1], self.pixels.shape[0])

    def cut(self, left: int, top: int, width: int, height: int) -> Tensor:
        """Return a part, uint8, shape (3, height, width), channels-last in memory: so it is scaled soonest."""
        if isinstance(self.pixels, Image.Image):
            whole = (left, top, width, height) == (0, 0, *self.size)  # which a crop would copy once more
            part = np.array(self.pixels if whole else self.pixels.crop((left, top, left + width, top + height)))
        else:
            part = np.ascontiguousarray(self.pixels[top:top + height, left:left + width])
        return torch.from_numpy(part).permute(2, 0, 1)


def read_picture(content: Bytes, name: str) -> Picture:
    """Decode an image file.

    Pillow reads the header, and says what every file becomes. Plain JPEGs are left to simplejpeg where it is installed: the same
    pixels, sooner (docs/input-pipeline.md has the figures). What that refuses, Pillow decodes or refuses.

    Raises:
        UserError: If it is damaged or no image, has gray values of no known range, or more pixels than Pillow takes without a
            warning, naming it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damage that Pillow forgives: it would stand on the screen in every epoch
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decoded(content)
    except Exception as error:  # truncated and foreign files fail in as many ways as Pillow has decoders
        raise UserError(f"image {name!r} cannot be read ({_reason(error)})") from error


def _decoded(content: Bytes) -> Picture:
    with Image.open(io.BytesIO(content.tobytes())) as image:
        if image.format == "EPS":
            raise UserError("an EPS is a program, which ltbench does not run")
        if image.format == "JPEG2000":
            check_jpeg2000(image.mode, content.tobytes())
        plain = image.format == "JPEG" and image.mode in ("RGB", "L")  # each library has a CMYK conversion of its own
        pixels = _plain_jpeg(content) if plain else None
        if pixels is not None:
            return Picture(pixels)
        image.load()
        if not all(image.size):
            raise UserError("it has no pixels")
        return Picture(to_rgb(image))


def _reason(error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, (Image.DecompressionBombWarning, Image.DecompressionBombError)):
        return f"it has more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    said = re.sub("<_io.BytesIO[^>]*>", "file", (str(error).splitlines() or [""])[0])
    return f"{type(error).__name__}: {said}"


def cut_window(picture: Picture, uniforms: Floats, size: int, interpolation: str = "bilinear") -> Tensor:
    """Return a random window of an image, scaled.

    Returns:
        uint8, shape (3, s, s).
    """
    # Cut first: the filter must not look past the window's edge.
    return _scaled(picture.cut(*random_window(uniforms, *picture.size)), size, size, interpolation)


def cut_middle(picture: Picture, resized: int, size: int, interpolation: str = "bilinear", crop_mode: str = "center") -> Tensor:
    """Return the middle of an image.

    Args:
        resized: What the shorter side is scaled to; both sides, where the mode is ``squash``.

    Returns:
        uint8, shape (3, s, s).
    """
    width, height = (resized, resized) if crop_mode == "squash" else plain_size(*picture.size, resized)
    left, top = (round((side - size) / 2) for side in (width, height))
    if max(width, height) > _LONG * resized and min(picture.size) < resized:
        window = (left, top, size, size)
        part = picture.cut(*source_of(picture.size, (width, height), window, interpolation))
        return enlarged_window(part, picture.size, (width, height), window, interpolation)
    return _scaled(picture.cut(0, 0, *picture.size), width, height, interpolation)[:, top:top + size, left:left + size]


def _scaled(pixels: Tensor, width: int, height: int, interpolation: str) -> Tensor:
    """Scale with antialiasing, as Pillow does but for the last gray level."""
    return F.interpolate(pixels[None], (height, width), mode=interpolation, antialias=True)[0]


@functools.cache
def fast_decoder() -> Callable[[Bytes], Bytes] | None:
    """Return simplejpeg's decoder, if it is installed: shape (bytes,) to (height, width, 3)."""
    try:
        from simplejpeg import decode_jpeg
    except ImportError:
        return None
    decode: Callable[[Bytes], Bytes] = decode_jpeg
    return decode


def _plain_jpeg(content: Bytes) -> Bytes | None:
    decode = fast_decoder()
    try:
        return decode(content) if decode else None
    except ValueError:  # also of damage that Pillow forgives
        return None
