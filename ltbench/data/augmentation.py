"""What an augmentation is: a change to uint8 images by random numbers that were drawn for each of them.

The numbers come from (seed, epoch, index, view) alone, see :mod:`ltbench.data.randomness`. An augmentation that draws no others
and looks at no other image therefore gives the same image on any machine, in any batch, on any number of processes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ltbench.data.arrays import Floats, Ints
from ltbench.data.base import Dataset
from ltbench.terms.ranges import checked


@dataclass(frozen=True)
class ImageFacts:
    """Tell an augmentation what it may know of the images.

    Args:
        size: Height and width, in pixels.
        channels: Of an image: 3, or 1 for gray ones.
        crop_padding: Zeros that the dataset's usual crop puts around an image.
        mean: Per channel, of pixels scaled to [0, 1]; ``std`` likewise.
        decoded: Whether images are decoded from files, where a window of one is cut before it is scaled; else they are in memory.
    """

    size: int
    channels: int
    crop_padding: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    decoded: bool = False


def facts_of(dataset: Dataset) -> ImageFacts:
    """Return what an augmentation may know of a dataset's images."""
    return ImageFacts(dataset.image_size, dataset.channels, dataset.crop_padding, tuple(dataset.mean), tuple(dataset.std),
                      dataset.resized is not None)


class Augmentation(ABC):
    """Change images, each by random numbers of its own.

    What a user may set are keyword-only arguments of the constructor, with annotations and defaults as those of a method.

    Args:
        facts: What is known of the images.

    Attributes:
        draws: Random numbers that an image wants.
        normalized: Whether it takes images after normalization (float32, 0 is the mean color); it then stands after all others.
    """

    draws: int = 0
    normalized: bool = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Let every constructor check its options against their annotations before it runs."""
        super().__init_subclass__(**keywords)
        if "__init__" in vars(cls):
            cls.__init__ = checked(cls.__init__)  # type: ignore[method-assign]  # it stays callable as it was

    def __init__(self, facts: ImageFacts) -> None:
        self.facts = facts

    def prepare(self, uniforms: Floats, images: Tensor) -> Any:
        """Return random numbers in the form that the call takes, for a whole epoch at once; as they are, by default.

        What every image goes through is best made integers on the device here: the call then waits for no copy.

        Args:
            uniforms: In [0, 1), shape (N, draws).
            images: Some that are to come, for their size and device.
        """
        return uniforms

    @abstractmethod
    def __call__(self, images: Tensor, drawn: Any) -> Tensor:
        """Return changed images of the same type and shape.

        Args:
            images: uint8, shape (B, channels, height, width), on any device; float32 where ``normalized``.
            drawn: Their rows of what ``prepare`` made: numbers in [0, 1), shape (B, draws), unless it is overridden.
        """


class OneByOne(Augmentation):
    """Change one image after the other, by code that draws from torch's generator, as torchvision's transforms do.

    The generator is seeded anew for every image, and is afterwards as it was before. This runs on the CPU and takes its time: a
    transform of 32 x 32 pixels takes 0.05 to 0.3 ms.
    """

    draws = 1  # the seed

    @abstractmethod
    def change(self, image: Tensor) -> Tensor:
        """Return a changed image, uint8, of the same shape.

        Args:
            image: uint8, on the CPU, shape (channels, height, width).
        """

    def __call__(self, images: Tensor, drawn: Floats) -> Tensor:
        """Return changed images."""
        changed = []
        with torch.random.fork_rng(devices=[]):
            for image, number in zip(images.cpu(), drawn[:, 0].tolist(), strict=True):
                torch.default_generator.manual_seed(int(number * 2**53))
                changed.append(self.change(image))
        return torch.stack(changed).to(images.device)


def change_some(images: Tensor, chosen: npt.NDArray[np.bool_], change: Callable[[Tensor, Ints], Tensor]) -> Tensor:
    """Return images of which some are changed.

    Args:
        images: Shape (B, channels, height, width).
        chosen: Which, on the host, shape (B,).
        change: Takes the chosen images, shape (b, ...), and their rows, shape (b,).
    """
    rows = np.flatnonzero(chosen)
    if not len(rows):
        return images
    if len(rows) == len(images):
        return change(images, rows)
    where = torch.from_numpy(rows).to(images.device, non_blocking=True)
    return images.index_copy(0, where, change(images.index_select(0, where), rows))
