"""Small folders of a user's own images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def write_classes(root: Path, counts: Mapping[str, int], size: int = 12, ending: str = "png") -> Path:
    """Write images that tell class, number and, by its name, the folder by their color: no two folders share an image."""
    blue = sum(root.name.encode()) % 256
    for k, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.new("RGB", (size, size), (20 * k, number, blue)).save(root / name / f"{number:03d}.{ending}")
    return root


def write_digits(root: Path, digits_batch: tuple[object, object], per_class: int | None = None) -> Path:
    """Write scikit-learn's digits, four times as large, into class folders.

    Args:
        per_class: The first so many of each class; None for all.
    """
    images, labels = (np.asarray(part) for part in digits_batch)
    pixels = (images[:, 0] * 255).astype(np.uint8).repeat(4, 1).repeat(4, 2)  # (N, 32, 32)
    for k in range(10):
        (root / str(k)).mkdir(parents=True)
        for index in np.flatnonzero(labels == k)[:per_class].tolist():
            Image.fromarray(pixels[index]).save(root / str(k) / f"{index}.png")
    return root
