from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ltbench.backbones.resized import Resized, Scaled


class FirstRow(nn.Module):
    """Embed an image as its first row of pixels."""

    feature_dim = 4

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, 0]


class Whole(nn.Module):
    """Embed an image as all its pixels."""

    feature_dim = 144

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def test_images_are_scaled_by_a_bilinear_filter() -> None:
    # Two pixels of values 0 and 8: the centers of four new ones lie at -1/4, 1/4, 3/4 and 5/4 of the old grid.
    images = torch.tensor([0.0, 8.0]).expand(3, 1, 2, 2)
    embedding = Resized(FirstRow(), Scaled(4))(images)
    assert embedding.tolist() == [[0.0, 2.0, 6.0, 8.0]] * 3


def test_a_cubic_is_pillows_and_stays_within_black_and_white() -> None:
    pixels = np.random.default_rng(0).choice([0, 60, 200, 255], (1, 5, 5)).astype(np.uint8)
    expected = np.asarray(Image.fromarray(pixels[0]).resize((12, 12), Image.Resampling.BICUBIC), np.float32)
    mean, std = 0.4, 0.3
    images = (torch.from_numpy(pixels)[None].float() / 255 - mean) / std
    scaled = Resized(Whole(), Scaled(12, "bicubic", (mean,), (std,)))(images).view(12, 12)
    found = (scaled * std + mean) * 255
    assert (expected == 0).any() and (expected == 255).any()
    assert np.abs(found.numpy() - expected).max() < 1.5  # Pillow rounds, between rows and columns too
    assert torch.equal(Resized(Whole(), Scaled(5, "bicubic", (mean,), (std,)))(images).view(-1), images.view(-1))


def test_noise_beyond_black_and_white_is_kept() -> None:
    images = torch.full((1, 1, 4, 4), 9.0)
    assert torch.allclose(Resized(Whole(), Scaled(8, "bicubic", (0.5,), (0.5,)))(images), torch.full((1, 64), 9.0))


def test_images_of_the_right_size_stay_as_they_are_however_many_are_embedded_at_once() -> None:
    images = torch.randn(3, 1, 2048, 2048)  # one at a time
    backbone = Resized(FirstRow(), Scaled(2048))
    assert torch.equal(backbone(images), images[:, 0, 0])
