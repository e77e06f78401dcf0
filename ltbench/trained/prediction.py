"""The likeliest classes of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ltbench.results.evaluate import speak
from ltbench.trained.images import open_images
from ltbench.trained.recall import Trained


@dataclass(frozen=True)
class Said:
    """Name a class that an image may be of.

    Args:
        index: From 0.
        probability: From 0 to 1.
    """

    name: str
    index: int
    probability: float


@dataclass(frozen=True)
class Image:
    """Hold what a model says of an image.

    Args:
        image: Its file, as it was named.
        classes: The likeliest ones, the likeliest first.
    """

    image: str
    classes: tuple[Said, ...]


def predict_files(trained: Trained, names: Sequence[str], top: int) -> list[Image]:
    """Return what a model says of image files, as it is evaluated on test images, but without noise.

    Args:
        top: How many classes of each.

    Raises:
        UserError: If one cannot be read, naming it.
    """
    source, classes = open_images(names, trained.data), trained.class_names
    found: list[Image] = []
    for positions, _, log_probs in speak(trained.engine, trained.data, source, torch.arange(len(names)), trained.accelerator,
                                         flip=trained.flip):
        best = log_probs.exp().cpu().sort(dim=1, descending=True, stable=True)  # of equal classes the first, as argmax has it
        for position, values, indices in zip(positions.tolist(), best.values.tolist(), best.indices.tolist(), strict=True):
            said = zip(indices[:top], values[:top], strict=True)
            found.append(Image(names[position], tuple(Said(classes[k], k, value) for k, value in said)))
    return found
