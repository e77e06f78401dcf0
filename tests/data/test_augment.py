from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ltbench.data.augment import crop, cutout, flip, rotation
from ltbench.data.digits import DigitsLT
from ltbench.data.parts import Parts, TensorImages
from ltbench.data.view import View, normalize
from ltbench.errors import UserError
from tests.support.views import view_of

MEAN, STD = DigitsLT.mean, DigitsLT.std


def images_of(parts: Parts) -> Tensor:
    assert isinstance(parts.train, TensorImages)
    return parts.train.pixels[:40]


def augmentation(*names: str, padding: int = 2) -> View:
    return view_of(names, padding, MEAN, STD)


def test_crop_against_slices(digits: Parts) -> None:
    images = images_of(digits).repeat(1, 3, 1, 1)
    images[:, 1] += 1  # channels differ
    offsets = torch.randint(0, 5, (40, 2))
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)))
    expected = [image[:, top:top + 8, left:left + 8] for image, (top, left) in zip(padded, offsets.tolist(), strict=True)]
    assert np.array_equal(crop(images, offsets, 2).numpy(), np.stack(expected))
    assert torch.equal(crop(images, torch.zeros(40, 2, dtype=torch.int64), 0), images)


def test_crop_takes_images_that_are_not_square() -> None:
    images = torch.arange(2 * 6, dtype=torch.uint8).view(1, 1, 2, 6)
    assert crop(images, torch.tensor([[0, 2]]), 1)[0, 0].tolist() == [[0, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 0]]


def test_crop_reaches_every_offset_equally(digits: Parts) -> None:
    drawn = augmentation("crop").draw(np.arange(25_000), 0, 0)["crop"]
    counts = np.bincount(((drawn * 5).astype(int) @ [5, 1]), minlength=25)
    assert len(counts) == 25
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_flip_mirrors_the_chosen() -> None:
    images = torch.arange(6, dtype=torch.uint8).view(2, 1, 1, 3)
    assert flip(images, torch.tensor([0, 1])).view(2, 3).tolist() == [[0, 1, 2], [5, 4, 3]]


def test_cutout_by_hand() -> None:
    images = torch.ones(3, 1, 4, 4)
    cut = cutout(images, torch.tensor([[2, 2], [0, 3], [0, 0]]), 2)
    assert cut[0, 0].tolist() == [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    assert cut[1, 0].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert cut[2, 0].tolist() == [[0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]


def test_normalize_against_double_precision(digits: Parts) -> None:
    images = images_of(digits)
    expected = (images.double() / 255 - MEAN[0]) / STD[0]
    result = normalize(images, MEAN, STD)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.double(), expected, rtol=0, atol=1e-6)


def test_output_is_channels_last() -> None:
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    for names in ((), ("crop", "flip"), ("crop", "flip", "autoaugment", "cutout")):
        result = view_of(names, 4, (0.5,) * 3, (0.2,) * 3)(images, np.arange(4), 0, 0)
        assert result.is_contiguous(memory_format=torch.channels_last)
        assert result.shape == images.shape


@pytest.mark.parametrize("names", [("crop",), ("flip",), ("crop", "flip", "autoaugment", "cutout")])
def test_an_image_is_the_same_alone_and_in_any_batch(digits: Parts, names: tuple[str, ...]) -> None:
    images, augment = images_of(digits), augmentation(*names)
    indices = np.arange(100, 140)
    batch = augment(images, indices, 3, 5)
    order = torch.randperm(40)
    assert torch.equal(augment(images[order], indices[order.numpy()], 3, 5), batch[order])
    for i in range(0, 40, 7):
        assert torch.equal(augment(images[i:i + 1], torch.tensor([100 + i]), 3, 5)[0], batch[i])


def test_seed_epoch_index_and_view_all_matter(digits: Parts) -> None:
    images, augment, indices = images_of(digits), augmentation("crop"), np.arange(40)
    results = [augment(images, indices, 0, 0), augment(images, indices, 1, 0), augment(images, indices, 0, 1),
               augment(images, indices + 40, 0, 0), augment(images, indices, 0, 0, view=1)]
    for i in range(5):
        for j in range(i):
            assert not torch.equal(results[i], results[j])
    assert torch.equal(results[0], augment(images, indices, 0, 0, view=0))


def test_adding_one_leaves_the_others_as_they_were() -> None:
    alone = augmentation("crop").draw(np.arange(5), 0, 0)["crop"]
    assert np.array_equal(augmentation("flip", "crop").draw(np.arange(5), 0, 0)["crop"], alone)


def test_half_are_flipped() -> None:
    flipped = (augmentation("flip").draw(np.arange(10_000), 0, 0)["flip"] >= 0.5).sum()
    assert abs(flipped - 5000) < 5 * 50


def test_cutout_erases_a_quarter_when_it_does_not_stick_out() -> None:
    images = torch.full((300, 1, 8, 8), 255, dtype=torch.uint8)
    erased = (augmentation("cutout")(images, np.arange(300), 0, 0) == 0).sum((1, 2, 3))
    # Centers 2 to 6 of 0 to 7 keep the 4 x 4 square inside: 25 of 64.
    assert int(erased.max()) == 16
    assert abs(int((erased == 16).sum()) - 300 * 25 / 64) < 5 * np.sqrt(300 * 25 / 64 * 39 / 64)


def test_no_names_is_normalization_alone(digits: Parts) -> None:
    images = images_of(digits)
    assert torch.equal(augmentation()(images, np.arange(40), 0, 0), normalize(images, MEAN, STD))


@pytest.mark.parametrize(("names", "padding", "words"), [
    (("crp",), 1, r"unknown augmentation 'crp'; did you mean 'crop'\? Known: autoaugment, crop, cutout, flip"),
    (("cutout", "crop"), 1, "'cutout' must be the last augmentation"),
    (("crop", "crop"), 1, "must differ"),
    (("crop(padding=-1)",), 1, "augmentation 'crop': padding must be >= 0 or none, got -1"),
    (("cutout(size=0)",), 1, "size must be >= 1 or none, got 0"),
    (("crop(pad=1)",), 1, "unknown hyperparameter of 'crop' 'pad'"),
    (("crop(2)",), 1, r"an option must be written as key=value, got '2' in 'crop\(2\)'"),
    (("grayscale(p=x)",), 1, "grayscale.p must be a finite number, got 'x'"),
    (("crop flip",), 1, r"an augmentation must be written as name or name\(key=value\), got 'crop flip'"),
    (("simclr(p=1)",), 1, "'simclr' is a sequence: it takes no options"),
    (("simclr", "flip"), 1, "must differ"),
    (("torchvision:Rotate",), 1, "unknown transform of torchvision.transforms.v2 'Rotate'"),
    (("torchvision:RandomRotation",), 1, "augmentation 'torchvision:RandomRotation': .*degrees"),
])
def test_refusals(names: tuple[str, ...], padding: int, words: str) -> None:
    with pytest.raises(UserError, match=words):
        view_of(names, padding, MEAN, STD)


def test_refuses_other_pixels() -> None:
    with pytest.raises(ValueError, match=r"uint8 of shape \(B, 1, height, width\), got torch.float32"):
        augmentation()(torch.zeros(1, 1, 8, 8), [0], 0, 0)
    with pytest.raises(UserError, match="one number a channel"):
        view_of((), 0, (0.5,), (0.2, 0.2))


def test_rotation_equals_pillow() -> None:
    images = torch.randint(0, 256, (9, 3, 32, 32), dtype=torch.uint8)
    uniforms = np.linspace(0, 1, 9)
    expected = [np.array(Image.fromarray(image.permute(1, 2, 0).numpy()).rotate(30 * u - 15))
                for image, u in zip(images, uniforms, strict=True)]
    turned = rotation(images, uniforms)
    assert np.array_equal(turned.permute(0, 2, 3, 1).numpy(), np.stack(expected))
    assert torch.equal(turned[4], images[4])  # by 0 degrees
    assert not turned[0, :, 0, 0].any()  # a corner is black


def test_rotation_joins_the_others(digits: Parts) -> None:
    images = images_of(digits)
    plain, turned = augmentation("crop", "flip"), augmentation("crop", "flip", "rotation")
    drawn = turned.draw(np.arange(40), 0, 3)
    assert drawn["rotation"].shape == (40, 1)
    assert all(np.array_equal(drawn[name], numbers) for name, numbers in plain.draw(np.arange(40), 0, 3).items())
    assert turned(images, np.arange(40), 0, 3).shape == images.shape
    assert not torch.equal(turned(images, np.arange(40), 0, 3), plain(images, np.arange(40), 0, 3))
