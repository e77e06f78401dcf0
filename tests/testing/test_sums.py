"""What a check compares must differ by the order of sums alone."""

from __future__ import annotations

import torch
from torch import nn

from ltbench.testing.sums import close, image_by_image


def test_an_image_is_convolved_alike_whatever_is_beside_it() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(16, 32, 3, padding=1)
    images = torch.rand(64, 16, 8, 8)
    before = torch.backends.mkldnn.enabled
    with image_by_image():
        assert not torch.backends.mkldnn.enabled
        whole = convolution(images)
        for part in (1, 16, 32):
            assert torch.equal(torch.cat([convolution(some) for some in images.split(part)]), whole), part
    assert torch.backends.mkldnn.enabled == before


def test_only_what_rounding_may_do_is_close() -> None:
    weights = torch.tensor([1.0, -0.5, 0.0])
    assert close(weights + 1e-5, weights)
    assert not close(weights + 1e-3, weights)
    assert not close(torch.tensor([3]), torch.tensor([4]))
    assert close(torch.tensor([float("nan")]), torch.tensor([float("nan")]))
