from __future__ import annotations

import pytest
import torch

from ltbench.data.cifar import Cifar100LT
from ltbench.data.digits import DigitsLT
from ltbench.data.parts import Parts, TensorImages


def test_fetch_takes_images_in_the_order_asked_for(digits: Parts) -> None:
    assert isinstance(digits.train, TensorImages)
    fetched = digits.train.fetch(torch.tensor([5, 2, 5]))
    assert torch.equal(fetched, torch.stack([digits.train.pixels[i] for i in (5, 2, 5)]))


def test_refuses_other_tensors() -> None:
    labels = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="pixels must be uint8 of shape .* got torch.float32"):
        TensorImages(torch.zeros(2, 1, 8, 8), labels)
    with pytest.raises(ValueError, match=r"labels must be int64 of shape \(3,\), got torch.int64 \(2,\)"):
        TensorImages(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), labels)


def test_facts_of_a_dataset() -> None:
    assert (DigitsLT().num_classes, DigitsLT().channels, DigitsLT.crop_padding) == (10, 1, 1)
    assert (Cifar100LT().num_classes, Cifar100LT().channels, Cifar100LT.crop_padding) == (100, 3, 4)
