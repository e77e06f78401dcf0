from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from ltbench.data.jitter import DRAWS, jitter
from tests.support.views import view_of


def slow(pixels: np.ndarray, factors: list[float], order: list[int]) -> np.ndarray:
    """Jitter one image by Pillow, one operation after the other."""
    image = Image.fromarray(pixels)
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for number in order:
        image = enhancers[number](image).enhance(factors[number])
    return np.asarray(image)


def test_against_pillow(data_root: Path) -> None:
    folder = data_root / "imagenet-samples"
    if not folder.is_dir():
        pytest.skip("LTBENCH_DATA holds no imagenet-samples")
    files = sorted(folder.glob("*.JPEG"))[:6]
    images = np.stack([np.asarray(Image.open(file).convert("RGB").resize((48, 40))) for file in files])
    orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    uniforms = np.random.default_rng(0).random((6, DRAWS))
    uniforms[:, 3] = (np.arange(6) + 0.5) / 6  # every order once
    result = jitter(torch.from_numpy(images).permute(0, 3, 1, 2), uniforms).permute(0, 2, 3, 1).numpy()
    for row, order in enumerate(orders):
        factors = (0.6 + 0.8 * uniforms[row, :3]).tolist()
        difference = np.abs(result[row].astype(int) - slow(images[row], factors, order).astype(int))
        assert difference.max() <= 1  # Pillow's factors are float64 on the way
        assert not np.array_equal(result[row], images[row])


def test_middle_of_the_range_changes_nothing() -> None:
    images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(jitter(images, np.full((4, DRAWS), 0.5)), images)


def test_an_image_is_the_same_alone_and_in_any_batch() -> None:
    images = torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8)
    augment = view_of(("flip", "jitter"), 0, (0.5,) * 3, (0.2,) * 3)
    batch = augment(images, np.arange(20), 3, 5)
    for i in range(0, 20, 6):
        assert torch.equal(augment(images[i:i + 1], [i], 3, 5)[0], batch[i])
    assert not torch.equal(augment(images, np.arange(20), 3, 6), batch)
