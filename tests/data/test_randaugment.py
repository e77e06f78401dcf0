from __future__ import annotations

import numpy as np
import pytest
import torch

from ltbench.data import autoaugment, randaugment
from ltbench.data.parts import Parts, TensorImages
from ltbench.data.randomness import uniform
from tests.support.views import view_of


def test_strengths_by_hand() -> None:
    uniforms = np.array([[(row + 0.5) / 14, 0.9] for row in range(14)])
    operations, strengths = randaugment.choose(uniforms, (331, 331))
    named = {autoaugment.OPERATIONS[k] if k >= 0 else None: s for k, s in zip(operations, strengths.tolist(), strict=True)}
    assert len(named) == 14 and "invert" not in named and None in named
    # Nine tenths of AutoAugment's ranges: shear .3, translation 150 of 331, rotation 30 degrees, factors 1 + .9, and so on.
    expected = {"shear_x": 0.27, "translate_y": 135.0, "rotate": 27.0, "color": 1.81, "posterize": 4.0, "solarize": 25.5}
    assert {name: named[name] for name in expected} == pytest.approx(expected)
    _, turned = randaugment.choose(uniforms - [[0, 0.5]], (331, 331))
    assert turned[operations == autoaugment.OPERATIONS.index("rotate")] == pytest.approx([-27.0])


def test_operations_are_drawn_equally() -> None:
    operations, _ = randaugment.choose(uniform(0, 0, np.arange(28_000), 2), (32, 32))
    counts = np.bincount(operations + 1, minlength=15)
    assert counts[autoaugment.OPERATIONS.index("invert") + 1] == 0
    assert np.abs(np.delete(counts, autoaugment.OPERATIONS.index("invert") + 1) - 2000).max() < 5 * np.sqrt(2000)


def test_two_operations_follow_each_other(digits: Parts) -> None:
    assert isinstance(digits.train, TensorImages)
    images = digits.train.pixels[:40].repeat(1, 3, 2, 2)
    uniforms = uniform(7, 0, np.arange(40), randaugment.DRAWS)
    result = randaugment.randaugment(images, uniforms)
    for row in range(0, 40, 5):  # slowly, one image and one operation at a time
        image = images[row:row + 1].clone()
        for half in (uniforms[row:row + 1, :2], uniforms[row:row + 1, 2:]):
            autoaugment.apply_each(image, *randaugment.choose(half, (16, 16)), (16, 16))
        assert torch.equal(result[row], image[0])
    assert not torch.equal(result, images)


def test_stands_among_the_augmentations(digits: Parts) -> None:
    assert isinstance(digits.train, TensorImages)
    augment = view_of(("flip", "randaugment"), 1, (0.3,), (0.4,))
    images, names = digits.train.pixels[:8], np.arange(8)
    assert not torch.equal(augment(images, names, 0, 0), augment(images, names, 0, 1))
    assert torch.equal(augment(images[3:4], names[3:4], 0, 0)[0], augment(images, names, 0, 0)[3])
