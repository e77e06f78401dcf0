"""Sets of small images in memory that are named by a family, such as ``tv:MNIST``."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from ltbench.data.base import Dataset
from ltbench.data.cifar import Cifar10LT
from ltbench.data.copies import first_pixels
from ltbench.data.own import set_apart
from ltbench.data.parts import Parts, TensorImages
from ltbench.errors import UserError
from ltbench.terms.protocol import Protocol


class ToldTensors(TensorImages):
    """Hold a part in memory that no official list of files names: a digest of all of it says which it is."""

    @cached_property
    def fingerprint(self) -> str:
        """Return the sha256 of pixels and labels."""
        digest = hashlib.sha256(repr(tuple(self.pixels.shape)).encode())
        digest.update(np.ascontiguousarray(self.pixels.numpy()).data)
        digest.update(self.labels.numpy().astype("<i8").tobytes())
        return digest.hexdigest()


class OwnArrays(Dataset):
    """Hold a set whose parts are in memory, on the terms of CIFAR; mean and deviation are those of its training images.

    Args:
        test: None to set a fifth of each class's training images apart.
        mirrored: Whether an image may be mirrored.

    Raises:
        UserError: If a class cannot be trained or tested on.
    """

    official = True

    def __init__(self, name: str, class_names: tuple[str, ...], train: ToldTensors, test: ToldTensors | None,
                 val: ToldTensors | None = None, *, mirrored: bool) -> None:
        self.name, self.class_names = name, class_names
        if test is None:
            train, test = _carve(train, class_names)
        for part, source in (("training", train), ("test", test)):
            if missing := sorted(set(range(len(class_names))) - set(source.labels.tolist())):
                raise UserError(f"every class of {name} must have a {part} image, class {class_names[missing[0]]!r} has none")
        self.max_per_class = int(torch.bincount(train.labels).min())
        self.image_size = train.pixels.shape[-1]
        self.crop_padding = max(1, self.image_size // 8)
        self.mean, self.std = _moments(train.pixels)
        self.protocols = array_protocols(mirrored=mirrored)
        self._parts = Parts(train, test, val)
        self.images = hashlib.sha256(f"{train.fingerprint} {test.fingerprint}".encode()).hexdigest()

    def load(self, root: Path | None, *, download: bool = False) -> Parts:
        """Return the parts."""
        return self._parts


def array_protocols(*, mirrored: bool) -> dict[str, Protocol]:
    """Return CIFAR's protocols for images that may be mirrored, or not."""
    augmentation = ("crop", "flip") if mirrored else ("crop",)
    return {name: replace(protocol, augmentation=augmentation) for name, protocol in Cifar10LT.protocols.items()}


def _carve(images: ToldTensors, class_names: tuple[str, ...]) -> tuple[ToldTensors, ToldTensors]:
    apart = torch.from_numpy(set_apart(images.labels.numpy(), first_pixels(images), class_names))
    train, test = (ToldTensors(images.pixels[rows], images.labels[rows]) for rows in (~apart, apart))
    return train, test


def _moments(pixels: torch.Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, of pixels scaled to [0, 1], to four digits.

    Args:
        pixels: uint8, shape (N, channels, height, width).
    """
    means, deviations = [], []
    for channel in pixels.unbind(1):
        shares = torch.bincount(channel.reshape(-1).int(), minlength=256).double() / channel.numel()  # exact, in any order
        levels = torch.arange(256, dtype=torch.float64) / 255
        mean = float(shares @ levels)
        means.append(round(mean, 4))
        deviations.append(max(round(float(shares @ (levels - mean) ** 2) ** 0.5, 4), 1e-4))
    return tuple(means), tuple(deviations)
