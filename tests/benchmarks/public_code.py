"""Training on CIFAR-100-LT as the public codes of the field write it: Pillow images, a data loader, a plain loop."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from ltbench.data.parts import TensorImages
from ltbench.data.task_data import TaskData

WORKERS = min(4, os.cpu_count() or 1)


class Images(Dataset[tuple[Tensor, int]]):
    """Give one image at a time, as torchvision's CIFAR does."""

    def __init__(self, data: TaskData, images: int | None) -> None:
        assert isinstance(data.parts.train, TensorImages)
        indices = data.indices[:images]
        self._pixels = data.parts.train.fetch(indices).permute(0, 2, 3, 1).contiguous().numpy()
        self._labels = data.parts.train.labels[indices].tolist()
        self._chain = transforms.Compose([transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(),
                                          transforms.ToTensor(), transforms.Normalize(data.dataset.mean, data.dataset.std)])

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._chain(Image.fromarray(self._pixels[index])), self._labels[index]


def loader(data: TaskData, batch_size: int, workers: int = WORKERS, images: int | None = None) -> DataLoader[tuple[Tensor, int]]:
    """Return the loader of an epoch.

    Args:
        workers: Processes; they live on, which is kinder than most codes are.
        images: Only the first ones of the split; None for all.
    """
    return DataLoader(Images(data, images), batch_size=batch_size, shuffle=True, drop_last=True, num_workers=workers,
                      pin_memory=torch.cuda.is_available(), persistent_workers=workers > 0)


def epoch(model: nn.Module, batches: DataLoader[tuple[Tensor, int]], device: torch.device) -> Callable[[], float]:
    """Return what trains an epoch and returns its mean loss."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)

    def train() -> float:
        model.train()
        losses = 0.0
        for images, labels in batches:
            images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
            loss = F.cross_entropy(model(images), labels)
            losses += loss.item()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return losses / len(batches)

    return train
