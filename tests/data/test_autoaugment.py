"""AutoAugment against Pillow on real photographs and digits, one image and one operation at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor
from torchvision.transforms import AutoAugment, AutoAugmentPolicy, functional

from ltbench.data import autoaugment, photometric
from ltbench.data.parts import Parts, TensorImages
from ltbench.data.randomness import uniform
from tests.support.views import view_of

SIZE = (32, 32)


@pytest.fixture(scope="module")
def photographs() -> Tensor:
    """Return 32 x 32 windows of scikit-learn's two photographs, shape (B, 3, 32, 32)."""
    from sklearn.datasets import load_sample_images

    windows = [image[top:top + 128:4, left:left + 128:4] for image in load_sample_images().images
               for top in range(0, 300, 90) for left in range(0, 500, 90)]
    return torch.from_numpy(np.stack(windows)).permute(0, 3, 1, 2).contiguous()


def slow(image: Tensor, name: str, amount: float) -> Tensor:
    """Apply one operation with Pillow, called as torchvision's AutoAugment calls it."""
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    affine = {"angle": 0.0, "scale": 1.0, "center": [0, 0]}
    degrees = float(np.degrees(np.arctan(amount)))
    result = {
        "shear_x": lambda: functional.affine(picture, translate=[0, 0], shear=[degrees, 0.0], **affine),
        "shear_y": lambda: functional.affine(picture, translate=[0, 0], shear=[0.0, degrees], **affine),
        "translate_x": lambda: functional.affine(picture, translate=[int(amount), 0], shear=[0.0, 0.0], **affine),
        "translate_y": lambda: functional.affine(picture, translate=[0, int(amount)], shear=[0.0, 0.0], **affine),
        "rotate": lambda: functional.rotate(picture, amount),
        "brightness": lambda: ImageEnhance.Brightness(picture).enhance(amount),
        "color": lambda: ImageEnhance.Color(picture).enhance(amount),
        "contrast": lambda: ImageEnhance.Contrast(picture).enhance(amount),
        "sharpness": lambda: ImageEnhance.Sharpness(picture).enhance(amount),
        "posterize": lambda: ImageOps.posterize(picture, int(amount)),
        "solarize": lambda: ImageOps.solarize(picture, amount),
        "autocontrast": lambda: ImageOps.autocontrast(picture),
        "equalize": lambda: ImageOps.equalize(picture),
        "invert": lambda: ImageOps.invert(picture),
    }[name]()
    return torch.from_numpy(np.array(result)).permute(2, 0, 1)


def apply_one(images: Tensor, name: str, amount: float) -> Tensor:
    result = images.clone()
    operations = np.full(len(images), autoaugment.OPERATIONS.index(name))
    autoaugment.apply_each(result, operations, np.full(len(images), amount), SIZE)
    return result


@pytest.mark.parametrize("name", autoaugment.OPERATIONS)
def test_operation_equals_pillow(photographs: Tensor, name: str) -> None:
    # Pillow stretches the contrast through a float table, which may truncate 254.9999: one gray level.
    tolerance = 1 if name == "autocontrast" else 0
    for magnitude in range(10):
        for negative in (False, True):
            amount = autoaugment.strength(name, magnitude, negative, SIZE)
            expected = torch.stack([slow(image, name, amount) for image in photographs])
            difference = (apply_one(photographs, name, amount).int() - expected.int()).abs().max()
            assert difference <= tolerance, (name, amount)


def test_autocontrast_is_exact_truncation(photographs: Tensor) -> None:
    image = photographs[0, 0].numpy().astype(int)
    expected = (image - image.min()) * 255 // (image.max() - image.min())
    assert np.array_equal(photometric.autocontrast(photographs[:1], torch.zeros(1))[0, 0].numpy(), expected)


def test_flat_images_stay_as_they_are() -> None:
    flat = torch.full((1, 3, 32, 32), 77, dtype=torch.uint8)
    assert torch.equal(photometric.autocontrast(flat, torch.zeros(1)), flat)
    assert torch.equal(photometric.equalize(flat, torch.zeros(1)), flat)


def test_policy_and_magnitudes_are_torchvisions() -> None:
    reference = AutoAugment(AutoAugmentPolicy.CIFAR10)
    names = {name: name.lower() for name in ("Invert", "AutoContrast", "Equalize", "Rotate", "Color", "Contrast", "Brightness",
                                             "Sharpness", "Posterize", "Solarize")}
    names |= {"ShearX": "shear_x", "ShearY": "shear_y", "TranslateX": "translate_x", "TranslateY": "translate_y"}
    theirs = tuple(tuple((names[name], p, magnitude or 0) for name, p, magnitude in row) for row in reference.policies)
    assert theirs == autoaugment.POLICY
    factors = ("brightness", "color", "contrast", "sharpness")
    for name, (magnitudes, signed) in reference._augmentation_space(10, SIZE).items():
        if magnitudes.dim() == 0:
            continue
        ours = np.array([[autoaugment.strength(names[name], m, negative, SIZE) for m in range(10)] for negative in (False, True)])
        ours -= 1.0 if names[name] in factors else 0.0
        assert np.allclose(ours[0], magnitudes.numpy(), atol=1e-4)
        assert np.allclose(ours[1], -ours[0] if signed else ours[0])


def test_batch_equals_pillow_image_by_image(photographs: Tensor) -> None:
    uniforms = uniform(5, 0, np.arange(len(photographs)), autoaugment.DRAWS)
    result = autoaugment.autoaugment(photographs, uniforms)
    applied = 0
    for image, (u0, u1, u2, u3, u4), got in zip(photographs, uniforms, result, strict=True):
        for (name, probability, magnitude), u, sign in zip(autoaugment.POLICY[int(u0 * 25)], (u1, u2), (u3, u4), strict=True):
            if u < probability:
                applied += 1
                image = slow(image, name, autoaugment.strength(name, magnitude, sign < 0.5, SIZE))
        assert (got.int() - image.int()).abs().max() <= 1
    assert applied > len(photographs) / 2


def test_choices_follow_the_policys_probabilities() -> None:
    halves = autoaugment.choose(uniform(6, 0, np.arange(50_000), autoaugment.DRAWS), SIZE)
    for half, (operations, _) in enumerate(halves):
        shares = [(operations == number).mean() for number in range(len(autoaugment.OPERATIONS))]
        expected = [sum(p for name, p, _ in (row[half] for row in autoaugment.POLICY) if name == operation) / 25
                    for operation in autoaugment.OPERATIONS]
        assert np.allclose(shares, expected, atol=0.01)


def test_input_is_left_alone_and_gray_images_work(digits: Parts) -> None:
    assert isinstance(digits.train, TensorImages)
    images = digits.train.pixels[:64]
    before = images.clone()
    result = view_of(("autoaugment",), 1, (0.3,), (0.4,))(images, np.arange(64), 0, 0)
    assert torch.equal(images, before)
    assert result.shape == (64, 1, 8, 8)


def test_real_cifar_batch_equals_single_images(cifar100: Parts) -> None:
    assert isinstance(cifar100.train, TensorImages)
    images = cifar100.train.pixels[:200]
    augment = view_of(("crop", "flip", "autoaugment", "cutout"), 4, (0.5,) * 3, (0.2,) * 3)
    batch = augment(images, np.arange(200), 1, 2)
    for i in range(0, 200, 9):
        assert torch.equal(augment(images[i:i + 1], [i], 1, 2)[0], batch[i])
