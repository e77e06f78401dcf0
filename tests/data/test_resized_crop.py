from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ltbench.data.resized_crop import resized
from ltbench.data.windows import random_window
from tests.support.views import view_of

IMAGES = torch.randint(0, 256, (60, 3, 24, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_windows_are_scaled_as_pillow_does() -> None:
    generator = np.random.default_rng(0)
    windows = np.array([random_window(row, 32, 24) for row in generator.random((60, 22))])
    windows[:3] = [[0, 0, 32, 24], [31, 23, 1, 1], [3, 4, 2, 20]]
    for image, (left, top, width, height), mine in zip(IMAGES, windows.tolist(), resized(IMAGES, windows), strict=True):
        part = Image.fromarray(image.permute(1, 2, 0).numpy()).crop((left, top, left + width, top + height))
        theirs = np.asarray(part.resize((32, 24), Image.Resampling.BILINEAR))
        assert np.array_equal(mine.permute(1, 2, 0).numpy(), theirs)


def test_the_whole_image_stays_as_it_is() -> None:
    assert torch.equal(resized(IMAGES, np.tile([0, 0, 32, 24], (60, 1))), IMAGES)


@pytest.mark.parametrize(("name", "smallest"), [("random_resized_crop", 0.08), ("random_resized_crop(smallest=0.5)", 0.5)])
def test_areas_go_from_the_smallest_to_all(name: str, smallest: float) -> None:
    def areas(decoded: bool) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        view = view_of((name,), 0, (0.5,), (0.2,), 100, decoded=decoded)
        if decoded:
            drawn = view.windows(np.arange(2000), 0, 0)
            assert drawn is not None
            windows = np.array([random_window(row, 100, 100) for row in drawn])
        else:
            images = torch.zeros(1, 1, 100, 100, dtype=torch.uint8)
            windows = view.ready(view.draw(np.arange(2000), 0, 0), images).numbers["random_resized_crop"]
        return windows[:, 2] * windows[:, 3] / 10_000

    found = areas(decoded=False)
    assert np.array_equal(found, areas(decoded=True))  # the same windows, wherever they are cut
    assert smallest - 0.02 < found.min() < smallest + 0.02 and found.max() > 0.95
    fitting = found[found < 0.75]  # any shape of such an area fits: 3/4 x 4/3 is 1
    assert np.mean(fitting) == pytest.approx((smallest + 0.75) / 2, abs=0.02)
