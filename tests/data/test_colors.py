from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import correlate1d
from torch import Tensor
from torchvision.transforms.functional import adjust_hue

from ltbench.data.colors import blur
from ltbench.data.hue import turn_hue
from tests.support.views import view_of

THIRDS = (0.5,) * 3
FIFTHS = (0.2,) * 3


@pytest.fixture
def photographs() -> Tensor:
    return torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def pixels(name: str, images: Tensor, epoch: int = 0) -> Tensor:
    """Return what an augmentation alone makes of images, as whole numbers again."""
    channels, size = images.shape[1:3]
    changed = view_of((name,), 2, (0.0,) * channels, (1.0,) * channels, size)(images, np.arange(len(images)), 0, epoch)
    return (changed * 255).round().to(torch.uint8)


def test_hue_of_primary_colors_by_hand() -> None:
    red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    third = turn_hue(red, torch.tensor([1 / 3])).flatten().tolist()
    assert third == [0, 255, 0]  # a third of a turn is 85 of 255
    # A byte turns through 256 hues of which 255 make a circle: -85 is 171, a sixth of 6/255 past blue.
    assert turn_hue(red, torch.tensor([-1 / 3])).flatten().tolist() == [6, 0, 255]
    assert turn_hue(red, torch.tensor([0.0])).flatten().tolist() == [255, 0, 0]
    gray = torch.full((1, 3, 2, 2), 77, dtype=torch.uint8)
    assert torch.equal(turn_hue(gray, torch.tensor([0.3])), gray)
    single = torch.full((1, 1, 2, 2), 77, dtype=torch.uint8)
    assert torch.equal(turn_hue(single, torch.tensor([0.3])), single)


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.03, 0.5])
def test_hue_is_that_of_pillow(photographs: Tensor, turn: float) -> None:
    ours = turn_hue(photographs, torch.full((40,), turn)).permute(0, 2, 3, 1).numpy().astype(int)
    theirs = np.stack([np.asarray(adjust_hue(Image.fromarray(image.permute(1, 2, 0).numpy()), turn)) for image in photographs])
    assert (ours == theirs).all(axis=3).mean() > 0.99  # Pillow's floats may fall to the other side of a whole hue
    assert np.abs(ours - theirs).max() <= 6  # one of 255 hues is 6 of 255 values


def test_hue_keeps_value_and_turns_the_hue(photographs: Tensor) -> None:
    turned = turn_hue(photographs, torch.full((40,), 0.25))
    assert torch.equal(turned.amax(1), photographs.amax(1))
    for before, after in zip(photographs[0].flatten(1).T.tolist()[:50], turned[0].flatten(1).T.tolist()[:50], strict=True):
        if max(before) - min(before) > 100:  # where the hue is well defined
            difference = colorsys.rgb_to_hsv(*after)[0] - colorsys.rgb_to_hsv(*before)[0]
            assert abs((difference - 0.25 + 0.5) % 1 - 0.5) < 0.02


def test_grayscale_is_the_luma_in_every_channel(photographs: Tensor) -> None:
    gray = pixels("grayscale(p=1)", photographs)
    for image, result in zip(photographs, gray, strict=True):
        luma = np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L"))
        assert all(np.array_equal(channel, luma) for channel in result.numpy())
    assert torch.equal(pixels("grayscale(p=0)", photographs), photographs)


def test_solarize_by_hand() -> None:
    image = torch.tensor([0, 127, 128, 255], dtype=torch.uint8).view(1, 1, 2, 2)
    assert pixels("solarize(p=1)", image).flatten().tolist() == [0, 127, 127, 0]
    assert pixels("solarize(p=1,threshold=0)", image).flatten().tolist() == [255, 128, 127, 0]


def test_blur_against_scipy(photographs: Tensor) -> None:
    sigmas = np.linspace(0.1, 2.0, 40)
    result = blur(photographs, sigmas, 5).numpy().astype(int)
    for image, sigma, mine in zip(photographs.numpy(), sigmas, result, strict=True):
        bell = np.exp(-0.5 * (np.arange(-2, 3) / sigma) ** 2)
        slow = image.astype(float)
        for axis in (1, 2):
            slow = correlate1d(slow, bell / bell.sum(), axis=axis, mode="mirror")
        assert np.abs(mine - slow).max() <= 1.01  # rounded twice
    assert np.array_equal(result[0], photographs[0].numpy())  # a tenth of a pixel reaches no neighbor


def test_a_flat_image_stays_as_it_is() -> None:
    for value in (0, 1, 254, 255):
        flat = torch.full((3, 1, 9, 9), value, dtype=torch.uint8)
        assert torch.equal(blur(flat, np.array([0.3, 1.0, 5.0]), 7), flat)


@pytest.mark.parametrize(("name", "share"), [("grayscale(p=0.2)", 0.2), ("solarize(p=0.3)", 0.3), ("jitter(hue=0.1,p=0.8)", 0.8),
                                             ("gaussian_blur(p=0.5,smallest=1)", 0.5)])
def test_a_share_of_the_images_is_changed(photographs: Tensor, name: str, share: float) -> None:
    images = photographs[:1].expand(2000, -1, -1, -1)
    changed = (pixels(name, images) != images).flatten(1).any(1).double().mean()
    assert abs(float(changed) - share) < 5 * (share * (1 - share) / 2000) ** 0.5


@pytest.mark.parametrize("name", ["simclr", "gaussian_blur", "solarize", "grayscale", "jitter(hue=0.5)", "randaugment(n=1,m=5)",
                                  "torchvision:ColorJitter(brightness=0.5,hue=0.2)", "torchvision:RandomAffine(degrees=20)"])
def test_an_image_is_the_same_alone_and_in_any_batch(photographs: Tensor, name: str) -> None:
    view = view_of((name,), 2, THIRDS, FIFTHS, 16)
    batch = view(photographs, np.arange(40), 3, 5)
    state = torch.get_rng_state()
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert torch.equal(view(photographs[order], order, 3, 5), batch[order])
    assert torch.equal(view(photographs[7:8], [7], 3, 5)[0], batch[7])
    for other in ((4, 5, 0), (3, 6, 0), (3, 5, 1)):  # seed, epoch and view matter
        assert not torch.equal(view(photographs, np.arange(40), *other), batch)
    assert torch.equal(torch.get_rng_state(), state)


def test_randaugment_takes_number_and_magnitude(photographs: Tensor) -> None:
    view = view_of(("randaugment(n=3,m=0)",), 2, THIRDS, FIFTHS, 16)
    assert view.draw(np.arange(2), 0, 0)["randaugment"].shape == (2, 6)
    assert torch.equal(pixels("randaugment", photographs), pixels("randaugment(n=2,m=9)", photographs))


def test_policies_fill_and_cutout_is_black_where_asked() -> None:
    bright = torch.full((200, 3, 16, 16), 200, dtype=torch.uint8)
    assert int((pixels("cutout(fill=black)", bright) == 0).sum()) == int((pixels("cutout", bright) == 0).sum()) > 0
    view = view_of(("cutout(fill=black)", "flip"), 2, THIRDS, FIFTHS, 16)  # it need not stand last
    assert float(view(bright, np.arange(200), 0, 0).min()) == pytest.approx(-0.5 / 0.2)
    plain, filled = pixels("autoaugment", bright), pixels("autoaugment(fill=128)", bright)
    assert not torch.equal(plain, filled)
