"""What batch augmentation saves: crop, flip and normalization of a long-tailed CIFAR-100, against the usual PIL chain.

``make bench`` measures; in the ordinary tests each runs once, to show that it works.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from ltbench.data.augment import Augmentation
from ltbench.data.cifar import Cifar100LT
from ltbench.data.loader import Loader
from ltbench.data.longtail import make_split

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

BATCH = 128


@pytest.fixture(scope="module")
def split(cifar100_root: Path) -> tuple[Cifar100LT, torch.Tensor, torch.Tensor]:
    dataset = Cifar100LT()
    train = dataset.load(cifar100_root).train
    indices = torch.from_numpy(make_split(train.labels, 100, 500, 100.0).indices)
    return dataset, train.fetch(indices), train.labels[indices]


@pytest.mark.benchmark(group="an epoch of input, CIFAR-100-LT at ratio 100")
def test_ours(benchmark: BenchmarkFixture, split: tuple[Cifar100LT, torch.Tensor, torch.Tensor]) -> None:
    from ltbench.data.base import TensorImages

    dataset, pixels, labels = split
    loader = Loader(TensorImages(pixels, labels), torch.arange(len(labels)),
                    [Augmentation(("crop", "flip"), 4, dataset.mean, dataset.std)], batch_size=BATCH, seed=0)
    order = np.random.default_rng(0).permutation(len(labels))

    def epoch() -> int:
        return sum(len(batch.labels) for (batch,) in loader.epoch(order, 0))

    assert benchmark(epoch) == len(labels) // BATCH * BATCH


@pytest.mark.benchmark(group="an epoch of input, CIFAR-100-LT at ratio 100")
def test_pil_chain_as_public_codes_write_it(benchmark: BenchmarkFixture,
                                            split: tuple[Cifar100LT, torch.Tensor, torch.Tensor]) -> None:
    from PIL import Image
    from torchvision import transforms

    dataset, pixels, labels = split
    images = pixels.permute(0, 2, 3, 1).contiguous().numpy()
    chain = transforms.Compose([transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
                                transforms.Normalize(dataset.mean, dataset.std)])

    class Set(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
        def __len__(self) -> int:
            return len(labels)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            return chain(Image.fromarray(images[index])), int(labels[index])

    loader = torch.utils.data.DataLoader(Set(), batch_size=BATCH, shuffle=True, drop_last=True)

    def epoch() -> int:
        return sum(len(batch) for batch, _ in loader)

    assert benchmark.pedantic(epoch, rounds=3) == len(labels) // BATCH * BATCH
