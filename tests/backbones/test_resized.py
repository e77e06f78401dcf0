from __future__ import annotations

import torch
from torch import Tensor, nn

from ltbench.backbones.resized import Resized


class FirstRow(nn.Module):
    """Embed an image as its first row of pixels."""

    feature_dim = 4

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, 0]


def test_images_are_scaled_by_a_bilinear_filter() -> None:
    # Two pixels of values 0 and 8: the centers of four new ones lie at -1/4, 1/4, 3/4 and 5/4 of the old grid.
    images = torch.tensor([0.0, 8.0]).expand(3, 1, 2, 2)
    embedding = Resized(FirstRow(), 4)(images)
    assert embedding.tolist() == [[0.0, 2.0, 6.0, 8.0]] * 3


def test_images_of_the_right_size_stay_as_they_are_however_many_are_embedded_at_once() -> None:
    images = torch.randn(3, 1, 2048, 2048)  # one at a time
    backbone = Resized(FirstRow(), 2048)
    assert torch.equal(backbone(images), images[:, 0, 0])
