from __future__ import annotations

import numpy as np
import pytest

from ltbench.data import decoding
from ltbench.data.decoding import Picture, cut_middle
from tests.support.peaks import STATUS, extra_mebibytes


@pytest.mark.parametrize(("resized", "size"), [(256, 224), (36, 32), (64, 64)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_thin_images_are_scaled_as_if_they_were_whole(interpolation: str, resized: int, size: int,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    sides = [(1, 5), (2, 63), (3, 200), (resized - 1, 4 * resized + 2)]
    sides += [(short, int(short * ratio)) for short, ratio in zip(rng.integers(1, 13, 40), rng.uniform(5, 60, 40), strict=True)]
    for short, long in sides:
        for shape in ((short, long), (long, short)):
            picture = Picture(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
            with monkeypatch.context() as patch:
                patch.setattr(decoding, "enlarged_window", None)
                patch.setattr(decoding, "_LONG", float("inf"))
                expected = cut_middle(picture, resized, size, interpolation)
            with monkeypatch.context() as patch:
                patch.setattr(decoding, "_scaled", None)
                found = cut_middle(picture, resized, size, interpolation)
            # torch gives weights more bits where the largest of a whole line is below 1, as a cubic's may be.
            assert int((found.int() - expected.int()).abs().max()) <= (interpolation == "bicubic"), shape


STRIP = """
import io, numpy as np
from PIL import Image
from ltbench.data.decoding import cut_middle, cut_window, read_picture
def views(width, height):
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(stream, "JPEG")
    picture = read_picture(np.frombuffer(stream.getvalue(), np.uint8), "x.jpg")
    assert cut_middle(picture, 256, 224).shape == cut_window(picture, np.full(22, 0.5), 224).shape == (3, 224, 224)
views(500, 375)
before = peak_memory()
views(65500, 3)
print((peak_memory() - before) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="peaks are read from Linux's /proc")
def test_a_strip_takes_little_more_than_a_photo() -> None:
    """A side of 65,500 pixels, the longest of a JPEG: enlarged to a height of 256 it would take 4.3 GB."""
    assert extra_mebibytes(STRIP) < 12  # measured: 5
