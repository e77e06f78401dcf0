"""The images that somebody wants to know something of: files, and folders of them, as the model's own test images come."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ltbench.data.files import FileImages
from ltbench.data.parts import ImageSource
from ltbench.data.paths import Paths
from ltbench.data.task_data import TaskData
from ltbench.data.walking import images_below
from ltbench.errors import UserError


@dataclass(frozen=True, eq=False)
class Gray:
    """Give images one channel.

    Args:
        images: Of three.
    """

    images: FileImages

    @property
    def labels(self) -> Tensor:
        """Of the images below."""
        return self.images.labels

    def fetch(self, indices: Tensor) -> Tensor:
        """Return images as uint8, shape (B, 1, height, width); a gray value stays what it is."""
        red, green, blue = self.images.fetch(indices).int().unbind(dim=1)
        # Pillow's weights of ITU-R 601; they add up to 1.
        return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).to(torch.uint8)[:, None]


def find_images(given: Sequence[Path]) -> list[str]:
    """Return every image of files and folders, in the order in which they were named, a folder's by their names.

    Raises:
        UserError: If one is not there, or a folder holds no image.
    """
    return [os.fsdecode(name) for path in given for name in _found(path)]


def _found(path: Path) -> Iterator[bytes]:
    try:
        if not path.is_dir():
            os.stat(path)
            yield os.fsencode(path)
            return
        names = images_below(os.fsencode(path))
    except OSError as problem:
        raise UserError(f"IMAGES must be files or folders, got {str(path)!r}: {problem.strerror}") from None
    if not names:
        raise UserError(f"folder {str(path)!r} must hold an image, got none")
    yield from (os.path.join(os.fsencode(path), name) for name in names)


def window_of(data: TaskData) -> tuple[int, int]:
    """Return how a file becomes an image of a task: what its shorter side is scaled to, and the side of the middle cut out.

    Images in memory have one size; files are brought to it, and nothing is cut off but what is longer.
    """
    side = int(data.parts.test.fetch(data.test_indices[:1]).shape[-1])
    return data.dataset.resized or side, side


def open_images(names: Sequence[str], data: TaskData) -> ImageSource:
    """Return a source of images that are scaled, cut and colored as a task's own."""
    resized, side = window_of(data)
    paths = Paths(Path(), [os.fsencode(os.path.abspath(name)) for name in names])
    dataset = data.dataset
    files = FileImages(paths, torch.zeros(len(names), dtype=torch.int64), side, resized, interpolation=dataset.interpolation,
                       crop_mode=dataset.crop_mode)
    return Gray(files) if dataset.channels == 1 else files
