from __future__ import annotations

import numpy as np
import torch
from ltbench_example.patches import PatchesLT, quarters
from sklearn.datasets import load_sample_image


def test_patches_are_cut_where_they_should_be() -> None:
    photo = load_sample_image("flower.jpg")
    lower_right = quarters(photo)[3]
    height, width, _ = photo.shape
    np.testing.assert_array_equal(lower_right[-1], photo[height - 16:, width - 16:].transpose(2, 0, 1))
    np.testing.assert_array_equal(quarters(photo)[0][21], photo[16:32, 16:32].transpose(2, 0, 1))


def test_parts_are_balanced_and_normalized() -> None:
    dataset = PatchesLT()
    parts = dataset.load(None)
    assert torch.bincount(parts.train.labels).tolist() == [210] * 8
    assert torch.bincount(parts.test.labels).tolist() == [50] * 8
    pixels = parts.train.pixels.double() / 255
    torch.testing.assert_close(pixels.mean((0, 2, 3)), torch.tensor(dataset.mean).double(), atol=5e-5, rtol=0)
    torch.testing.assert_close(pixels.std((0, 2, 3)), torch.tensor(dataset.std).double(), atol=5e-5, rtol=0)


def test_no_test_patch_is_a_training_patch() -> None:
    parts = PatchesLT().load(None)
    both = torch.cat([parts.train.pixels, parts.test.pixels]).flatten(1)
    assert len(torch.unique(both, dim=0)) == len(both) == 2 * 4 * 13 * 20
